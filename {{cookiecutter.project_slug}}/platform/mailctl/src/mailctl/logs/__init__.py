"""The services' logs, a line each, by time."""
