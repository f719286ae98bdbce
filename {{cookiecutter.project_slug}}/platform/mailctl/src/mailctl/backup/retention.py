"""Which snapshots go: seven daily and four weekly ones stay, and never goes the last good one."""

from pathlib import Path

from mailctl.backup.publish import remove
from mailctl.backup.snapshot import Snapshot, every
from mailctl.core.disk_locks import is_held

KEEP = {"daily": 7, "weekly": 4}


def expired(snapshots: list[Snapshot], just_taken: str) -> list[Snapshot]:
    """What is beyond the numbers, from a list with the oldest first.

    Only good ones count. A failed one stays while it is the news: younger than every good one of its kind.
    """
    good = [found for found in snapshots if found.good]
    kept = {just_taken, *(found.id for found in good[-1:])}
    for kind, number in KEEP.items():
        kept |= {found.id for found in [g for g in good if g.manifest.kind == kind][-number:]}
        news = []
        for found in reversed([f for f in snapshots if f.manifest.kind == kind]):
            if found.good:
                break
            news.append(found.id)
        kept |= set(news[:number])
    return [found for found in snapshots if found.id not in kept]


def expire(hdd: Path, just_taken: str) -> list[str]:
    """Remove what has expired; the ids. What is being read goes next time; unreadable ones are a person's."""
    gone = [found for found in expired(every(hdd), just_taken) if not is_held(found.path)]
    for found in gone:
        remove(found.path)
    return [found.id for found in gone]
