"""A mail sink that honours the part of Mailpit's contract that this project uses."""
