"""The folders of mailboxes on the disk: nothing outside of them is touched, through no link."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from mailctl.core.descriptors import directory, opened


def is_home(home: object) -> bool:
    """Whether it is domain/name, two plain names."""
    parts = home.split("/") if isinstance(home, str) and "\0" not in home else []
    return len(parts) == 2 and all(part not in ("", ".", "..") for part in parts)


def is_there(root: Path, home: str) -> bool:
    """Whether it is a folder that no symbolic link leads to: Dovecot's user could have made one."""
    domain = root / home.partition("/")[0]
    return (root / home).is_dir() and not domain.is_symlink() and not (root / home).is_symlink()


def places(root: Path, home: str) -> list[str]:
    """Where below `root` a mailbox's folder is: on a disk of several hosts in each volume that has one."""
    return [
        place
        for volume in _volumes(root)
        if is_home(home) and is_there(root / volume, home)
        for place in [f"{volume}/{home}" if volume else home]
    ]


def every(root: Path) -> Iterator[tuple[str, str]]:
    """On a disk of several hosts each mailbox's folder below `root`, and the mailbox: domain/name."""
    for volume in filter(None, _volumes(root)):
        for domain in _below(root / volume):
            if not domain.isdigit():
                yield from (
                    (f"{volume}/{domain}/{name}", f"{domain}/{name}")
                    for name in _below(root / volume / domain)
                )


def is_empty(folder: Path) -> bool:
    """Whether no mail is in it: what a move left has indexes, and folders without mails."""
    return not any(names for path, _, names in os.walk(folder) if os.path.basename(path) in ("cur", "new"))


def _volumes(root: Path) -> list[str]:
    """What holds domains below the root of a shard's disk: its volumes, in these a folder for each move."""
    if not (root / ".shard").exists():
        return [""]
    volumes = _below(root)
    return [*volumes, *(f"{one}/{move}" for one in volumes for move in _below(root / one) if move.isdigit())]


def _below(folder: Path) -> list[str]:
    with os.scandir(folder) as entries:
        return sorted(e.name for e in entries if e.is_dir(follow_symlinks=False) and e.name[0] != ".")


def remove(root: Path, home: str) -> None:
    """Remove a folder with all that it holds. Interrupted, it is still there, and due, the next night."""
    above, _, name = home.rpartition("/")
    # What is inside is reached by descriptors: a link that appears meanwhile leads nowhere.
    with opened(root) as top, directory(top or 0, above) as inside:
        if inside is not None:
            shutil.rmtree(name, dir_fd=inside)
