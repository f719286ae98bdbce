"""The folders of mailboxes on the disk: nothing outside of them is touched, through no link."""

import os
import shutil
from pathlib import Path


def is_home(home: object) -> bool:
    """Whether it is domain/name, two plain names."""
    parts = home.split("/") if isinstance(home, str) and "\0" not in home else []
    return len(parts) == 2 and all(part not in ("", ".", "..") for part in parts)


def is_there(root: Path, home: str) -> bool:
    """Whether it is a folder that no symbolic link leads to: Dovecot's user could have made one."""
    domain = root / home.partition("/")[0]
    return (root / home).is_dir() and not domain.is_symlink() and not (root / home).is_symlink()


def remove(root: Path, home: str) -> None:
    """Remove a folder with all that it holds. Interrupted, it is still there, and due, the next night."""
    domain, name = home.split("/")
    inside = os.open(root / domain, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        # What is inside is reached by descriptors: a link that appears meanwhile leads nowhere.
        shutil.rmtree(name, dir_fd=inside)
    finally:
        os.close(inside)
