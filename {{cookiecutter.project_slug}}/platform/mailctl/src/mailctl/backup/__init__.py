"""Backups: snapshots on the large disk, restore, copies off site, and the drill that proves them."""

#: What others may import of this folder, besides what stands here (tests/test_borders.py).
PUBLIC = ("lock",)
