"""One file that says who works here; the kernel frees it when its holder dies."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from mailctl.core.errors import Problem, Refused


@contextmanager
def exclusive(path: Path, field: str, what: str, busy: str) -> Iterator[None]:
    """Hold the lock `path` while `what` runs. Raises Refused with who holds it and is `busy`; never waits."""
    try:
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise Refused(_unusable(path, field, error)) from None
    try:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Refused(_held(path, field, os.pread(fd, 200, 0), busy)) from None
        # Only for the message above: the file's content never decides who holds the lock.
        os.ftruncate(fd, 0)
        os.pwrite(fd, f"{os.getpid()} {what}\n".encode(), 0)
        yield
    finally:
        os.close(fd)


@contextmanager
def turn(folder: Path) -> Iterator[None]:
    """Let the timers' jobs wait, which take turns by this folder; one that runs already is not waited for."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        with suppress(BlockingIOError):
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(fd)


def holder(path: Path) -> str:
    """What holds the lock now, empty when it is free."""
    try:
        with path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return path.read_text("utf-8", "replace").strip().partition(" ")[2] or "another mailctl"
    except OSError:
        return ""
    return ""


def _held(path: Path, field: str, content: bytes, busy: str) -> Problem:
    pid, _, what = content.decode("utf-8", "replace").strip().partition(" ")
    who = f"{what} (process {pid})" if what else "another mailctl"
    fix = f"wait until it is done; to see it: ps -fp {pid}" if pid else "wait until it is done"
    return Problem(field, f"{who} is {busy}", fix, value=str(path))


def _unusable(path: Path, field: str, error: OSError) -> Problem:
    wrong = f"cannot be used: {error.strerror}"
    return Problem(field, wrong, f"run this as root; it needs {path.parent}", value=str(path))
