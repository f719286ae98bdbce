"""All rules, one folder a kind of file."""
