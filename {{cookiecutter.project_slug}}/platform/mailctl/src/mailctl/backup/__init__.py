"""Backups: snapshots on the large disk, restore, copies off site, and the drill that proves them."""
