"""Brings this host to a commit of the repository: checked before anything is touched, rolled back if it fails."""
