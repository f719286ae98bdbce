"""More than one host: the compose model as a stack of Docker Swarm (docs/several-hosts.md)."""
