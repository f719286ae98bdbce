"""How a snapshot appears, is replaced and goes, each in one step, so that nobody meets half of one."""

import ctypes
import os
import shutil
from pathlib import Path

from mailctl.core.disk_locks import is_held
from mailctl.core.snapshots import KINDS, Snapshot, every

# Seven daily and four weekly ones stay, and never goes the last good one.
KEEP = {"daily": 7, "weekly": 4}
PARTIAL, REMOVED = ".partial", ".removed"
_libc = ctypes.CDLL(None, use_errno=True)
_AT_FDCWD, _EXCHANGE = -100, 2


def partial(final: Path) -> Path:
    """Where the snapshot is built: a hidden folder beside its place."""
    return final.with_name(f".{final.name}{PARTIAL}")


def clear_leftovers(hdd: Path) -> None:
    """Remove what a killed run left: unfinished snapshots, and those that were being removed."""
    for folder in (hdd / kind for kind in KINDS):
        folder.mkdir(mode=0o700, exist_ok=True)
        folder.chmod(0o700)
        for path in folder.glob(".*"):
            if path.name.endswith((PARTIAL, REMOVED)):
                shutil.rmtree(path)


def publish(built: Path, final: Path) -> None:
    """Put the finished snapshot in its place, on the disk for good; one that is there is exchanged."""
    sync(built)
    if final.exists():
        exchange(built, final)
    else:
        built.rename(final)
    sync(final)
    if built.exists():
        shutil.rmtree(built)


def remove(final: Path) -> None:
    """Take a snapshot away: first its name, then its files."""
    hidden = final.with_name(f".{final.name}{REMOVED}")
    final.rename(hidden)
    shutil.rmtree(hidden)


def link_tree(source: Path, target: Path) -> None:
    """The same tree with hard links to the same files; symbolic links are made again."""
    shutil.copytree(source, target, symlinks=True, copy_function=lambda a, b: os.link(a, b))


def sync(path: Path) -> None:
    """Bring everything on that file system to the disk, once, instead of file by file."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        if _libc.syncfs(fd):
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), str(path))
    finally:
        os.close(fd)


def exchange(one: Path, other: Path) -> None:
    """Swap two files or folders in one step (renameat2). Raises OSError where the file system cannot."""
    paths = (_AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other))
    if _libc.renameat2(*paths, _EXCHANGE):
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), str(other))


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
