"""Copies files of a mailbox: single ones, and all beside the mails (UIDs, keywords, subscriptions, sieve)."""

import errno
import hashlib
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from mailctl.backup.maildir import MESSAGES, ROUNDS
from mailctl.core.descriptors import directory, opened

# Dovecot's caches, which it builds again, and what is only there while something is written.
LEFT_OUT = ("dovecot.index", "dovecot.list.index", "dovecot.mailbox.log")
# Folders that are no part of a mailbox: what Dovecot searches with, built from the mails.
SEARCH_INDEX = "fts-flatcurve"
PASSING = (".lock", ".tmp", ".newlog")
# A folder has letters for 26 keywords, for the names of its files; this file says which. Further ones
# Dovecot keeps in the folder's index and its log alone (maildir-keywords.c, maildir-sync-index.c).
KEYWORDS, LETTERS = "dovecot-keywords", 26
CHUNK = 1 << 20
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


def copy_file(source: int | None, name: str, target: int, new_name: str) -> tuple[str, int] | None:
    """Copy a file with its time; its SHA-256 and size, None when it is not there."""
    if source is None:
        return None
    try:
        fd = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=source)
    except FileNotFoundError:
        return None
    try:
        status = os.fstat(fd)
        into = os.open(new_name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600, dir_fd=target)
        try:
            digest, size = _pour(fd, into, status.st_size)
            os.utime(into, ns=(status.st_mtime_ns, status.st_mtime_ns))
        finally:
            os.close(into)
    finally:
        os.close(fd)
    return digest, size


def digest_of(folder: int | None, name: str) -> str | None:
    """The SHA-256 of a file; None when the disk cannot read it."""
    try:
        fd = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
        with os.fdopen(fd, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return None


def _pour(fd: int, into: int, expected: int) -> tuple[str, int]:
    digest, size = hashlib.sha256(), 0
    while chunk := os.read(fd, min(CHUNK, max(1, expected - size))):
        digest.update(chunk)
        size += len(chunk)
        while chunk:
            chunk = chunk[os.write(into, chunk) :]
    return digest.hexdigest(), size
