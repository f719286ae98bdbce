"""Brings this host to a commit: checked before anything is touched, rolled back when it fails."""

#: What others may import of this folder, besides what stands here (tests/test_borders.py).
PUBLIC = ("plan", "records", "tree")
