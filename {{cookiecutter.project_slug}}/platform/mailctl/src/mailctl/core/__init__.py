"""What every capability may use: no module here imports one of them."""
