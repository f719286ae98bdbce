"""Feedback of other servers about our domains: reading what strangers send, within bounds of time and memory."""
