"""Proves that mail comes back: restores into a stack of its own and compares every message."""
