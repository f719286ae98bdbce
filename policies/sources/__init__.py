"""Files as data that remembers its lines."""
