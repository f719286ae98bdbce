"""A new value for a secret while all goes on working: both are valid until the new one is proven."""
