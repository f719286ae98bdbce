"""Is the deployed host as it should be? Runs tests/host and reports what they found."""
