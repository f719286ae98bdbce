"""Locks by what they protect, so that no job waits for one that does not concern it.

`exclusive`: what is live changes, or a new snapshot is written. `alone`: one run of a kind at a time, with
its own folder. `held`: a snapshot that is being read; it is not removed meanwhile.
"""

import fcntl
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from mailctl.core import job_results, lock
from mailctl.core.context import Context
from mailctl.core.descriptors import opened
from mailctl.core.folders import hdd, private

NAME = ".mailctl-backup.lock"


def exclusive(context: Context, what: str) -> AbstractContextManager[None]:
    """Hold the lock of this disk while `what` runs. Raises Refused with who holds it; never waits."""
    return lock.exclusive(hdd(context) / NAME, "backup lock", what, "working on the snapshots")


def alone(context: Context, kind: str) -> AbstractContextManager[None]:
    """Be the only `kind` (restore, drill). Raises Refused with who is at work; never waits."""
    folder = private(hdd(context) / job_results.FOLDER)
    return lock.exclusive(folder / f"{kind}.lock", f"{kind} lock", f"mailctl {kind}", "at work")


@contextmanager
def held(snapshot: Path) -> Iterator[None]:
    """Keep a snapshot in its place while it is read. Raises OSError when it is gone."""
    with opened(snapshot) as fd:
        fcntl.flock(fd or 0, fcntl.LOCK_SH)
        yield


def is_held(snapshot: Path) -> bool:
    """Whether somebody reads it at this moment."""
    with opened(snapshot) as fd:
        try:
            fcntl.flock(fd or 0, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False
