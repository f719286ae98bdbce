"""Copies off site: snapshots in S3 as encrypted packs under Object Lock.

Below BACKUP_PREFIX lie `data/NAME` (packs and indexes; NAME is the SHA-256 of their bytes) and, for each
snapshot, `daily/2026-11-26/manifest.json`, which names what the snapshot needs. The manifest comes last: a
snapshot without one is not there.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mailctl.backup.offsite.access import Access as Access
    from mailctl.backup.offsite.download import fetch as fetch


def __getattr__(name: str) -> Any:
    """`fetch` and `Access`, imported when they are asked for: commands must start fast."""
    if name == "fetch":
        from mailctl.backup.offsite.download import fetch

        return fetch
    if name == "Access":
        from mailctl.backup.offsite.access import Access

        return Access
    raise AttributeError(name)
