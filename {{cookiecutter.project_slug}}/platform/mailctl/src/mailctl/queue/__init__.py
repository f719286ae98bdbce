"""The mail queue: what waits, why, and what to do about it."""
