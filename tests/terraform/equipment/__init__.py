"""Real Terraform without AWS: its core from a package, a provider that works on an AWS in memory."""
