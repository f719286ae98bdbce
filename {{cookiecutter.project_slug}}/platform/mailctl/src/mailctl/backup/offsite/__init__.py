"""Copies off site: snapshots in S3 as encrypted packs under Object Lock.

Below BACKUP_PREFIX lie `data/NAME` (packs and indexes; NAME is the SHA-256 of their bytes) and, for each
snapshot, `daily/2026-11-26/manifest.json`, which names what the snapshot needs. The manifest comes last: a
snapshot without one is not there.
"""
