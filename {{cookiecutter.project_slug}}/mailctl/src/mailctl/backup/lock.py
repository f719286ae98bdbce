"""One lock for everything that reads or changes snapshots; the kernel frees it when its holder dies."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mailctl.backup.where import hdd
from mailctl.context import Context
from mailctl.errors import Problem, Refused

NAME = ".mailctl-backup.lock"


@contextmanager
def exclusive(context: Context, what: str) -> Iterator[None]:
    """Hold the lock of this disk while `what` runs. Raises Refused with who holds it; never waits."""
    path = hdd(context) / NAME
    try:
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise Refused(_unusable(path, error)) from None
    try:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Refused(_held(path, os.pread(fd, 200, 0))) from None
        # Only for the message above: the file's content never decides who holds the lock.
        os.ftruncate(fd, 0)
        os.pwrite(fd, f"{os.getpid()} {what}\n".encode(), 0)
        yield
    finally:
        os.close(fd)


def _held(path: Path, content: bytes) -> Problem:
    pid, _, what = content.decode("utf-8", "replace").strip().partition(" ")
    holder = f"{what} (process {pid})" if what else "another mailctl"
    fix = f"wait until it is done; to see it: ps -fp {pid}" if pid else "wait until it is done"
    return Problem("backup lock", f"{holder} is working on the snapshots", fix, value=str(path))


def _unusable(path: Path, error: OSError) -> Problem:
    wrong = f"cannot be used: {error.strerror}"
    return Problem("backup lock", wrong, f"run this as root; it needs {path.parent}", value=str(path))
