"""Brings this host to a commit: checked before anything is touched, rolled back when it fails."""
