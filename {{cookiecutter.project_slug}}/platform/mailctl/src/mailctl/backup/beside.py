"""Copies what lies beside the mails of a mailbox: lists of UIDs, keywords, subscriptions, sieve scripts."""

import errno
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from mailctl.backup.copying import copy_file, opened
from mailctl.backup.maildir import MESSAGES, ROUNDS, directory

# Dovecot's caches, which it builds again, and what is only there while something is written.
LEFT_OUT = ("dovecot.index", "dovecot.list.index", "dovecot.mailbox.log")
# Folders that are no part of a mailbox: what Dovecot searches with, built from the mails.
SEARCH_INDEX = "fts-flatcurve"
PASSING = (".lock", ".tmp", ".newlog")
# A folder has letters for 26 keywords, for the names of its files; this file says which. Further ones
# Dovecot keeps in the folder's index and its log alone (maildir-keywords.c, maildir-sync-index.c).
KEYWORDS, LETTERS = "dovecot-keywords", 26
INDEX = ("dovecot.index", "dovecot.index.log", "dovecot.index.log.2")


@dataclass
class Beside:
    """SHA-256 and size of the copied files, and the targets of links, by path from the mailbox."""

    files: dict[str, tuple[str, int]] = field(default_factory=dict)
    links: dict[str, str] = field(default_factory=dict)


def copy(home: int, target: Path) -> Beside:
    """All but the mails and the index of the mailbox at the descriptor `home`, into the folder `target`."""
    result = Beside()
    target.mkdir(parents=True, exist_ok=True)
    for place, name in _beside_mails(home, ""):
        (target / place).mkdir(parents=True, exist_ok=True)
        with directory(home, place.rstrip("/") or ".") as fd, opened(target / place) as into:
            if fd is None or into is None:
                continue
            try:
                result.links[f"{place}{name}"] = goal = os.readlink(name, dir_fd=fd)
                os.symlink(goal, name, dir_fd=into)
                continue
            except FileNotFoundError:
                continue
            except OSError as error:
                if error.errno != errno.EINVAL:  # EINVAL: a file, no link
                    raise
            if (done := copy_file(fd, name, into, name)) is not None:
                result.files[f"{place}{name}"] = done
    return result


def copy_keywords(home: int, target: Path, maildirs: Iterable[str]) -> Beside:
    """What explains the letters in file names, once more: called after the mails were copied.

    No name in the snapshot may have a letter that is not explained there. A folder that went away meanwhile
    keeps what was copied first.
    """
    result = Beside()
    for place in sorted(maildirs):
        with directory(home, place) as fd, opened(target / place) as into:
            if fd is None or into is None or (done := _copy_again(fd, KEYWORDS, into)) is None:
                continue
            copied = {KEYWORDS: done}
            with open(KEYWORDS, "rb", opener=partial(os.open, dir_fd=into)) as file:
                if sum(1 for _ in file) >= LETTERS:
                    copied |= _copy_index(fd, into)
            result.files |= {f"{place}/{name}": done for name, done in copied.items()}
    return result


def _copy_index(fd: int, into: int) -> dict[str, tuple[str, int]]:
    """A folder's index and its log, of one moment: again when Dovecot replaced one of them meanwhile.

    Half a line at the end of the log does not count: Dovecot writes its length last.
    """
    for _ in range(ROUNDS):
        before = _inodes(fd)
        copied = {name: done for name in INDEX if (done := _copy_again(fd, name, into))}
        if _inodes(fd) == before:
            break
    return copied


def _inodes(fd: int) -> dict[str, int]:
    with os.scandir(fd) as entries:
        return {entry.name: entry.inode() for entry in entries if entry.name in INDEX}


def _copy_again(fd: int, name: str, into: int) -> tuple[str, int] | None:
    """Copy a file over an earlier copy of it, which stays when the file is gone."""
    new = f"{name}.new"
    if (done := copy_file(fd, name, into, new)) is not None:
        os.rename(new, name, src_dir_fd=into, dst_dir_fd=into)
    return done


def _beside_mails(home: int, place: str) -> Iterator[tuple[str, str]]:
    """Folder ("" or ending in /) and name of each file that is no mail, and of each link."""
    with directory(home, place.rstrip("/") or ".") as fd:
        if fd is None:
            return
        with os.scandir(fd) as entries:
            found = sorted(
                (entry.name, entry.is_dir(follow_symlinks=False))
                for entry in entries
                if entry.is_dir(follow_symlinks=False)
                or entry.is_file(follow_symlinks=False)
                or entry.is_symlink()
            )
        for name, is_folder in found:
            if not is_folder:
                if not name.startswith(LEFT_OUT) and not name.endswith(PASSING):
                    yield place, name
            elif name not in (*MESSAGES, "tmp", SEARCH_INDEX) and not name.startswith(".."):
                yield from _beside_mails(home, f"{place}{name}/")
