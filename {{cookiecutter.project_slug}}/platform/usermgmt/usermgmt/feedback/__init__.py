"""What other servers report about our domains: reading it within bounds of time and memory."""
