"""The door for plain checkov."""
