"""The whole stack on one machine, without any account: its own project name, folders, secrets and ports."""
