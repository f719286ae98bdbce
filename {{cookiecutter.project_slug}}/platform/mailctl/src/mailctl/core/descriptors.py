"""Folders by open descriptors: no path is resolved twice, and no symbolic link is followed."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class Folders:
    """Open descriptors of the folders below `root`, by path; None for one that is missing."""

    def __init__(self, root: int | None) -> None:
        self.root = root
        self._open: dict[str, int | None] = {}

    def __enter__(self) -> "Folders":
        return self

    def __exit__(self, *_: object) -> None:
        self.forget()

    def forget(self) -> None:
        """Close all: a folder may have been renamed meanwhile."""
        for fd in self._open.values():
            if fd is not None:
                os.close(fd)
        self._open.clear()

    def __getitem__(self, path: str) -> int | None:
        if path not in self._open:
            self._open[path] = None if self.root is None else open_directory(self.root, path)
        return self._open[path]


@contextmanager
def opened(path: Path | None) -> Iterator[int | None]:
    """A descriptor of a folder of ours, which may not be a link; None for None."""
    if path is None:
        yield None
        return
    fd = os.open(path, DIRECTORY)
    try:
        yield fd
    finally:
        os.close(fd)


@contextmanager
def directory(parent: int, path: str) -> Iterator[int | None]:
    """A descriptor of the folder `path` below `parent`, None where it is missing; no part may be a link."""
    fd = open_directory(parent, path)
    try:
        yield fd
    finally:
        if fd is not None:
            os.close(fd)


def open_directory(parent: int, path: str) -> int | None:
    """As `directory`, to be closed by the caller."""
    fd = os.dup(parent)
    for part in path.split("/"):
        try:
            inner = os.open(part, DIRECTORY, dir_fd=fd)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            if error.errno == errno.ELOOP:
                return None
            raise
        finally:
            os.close(fd)
        fd = inner
    return fd
