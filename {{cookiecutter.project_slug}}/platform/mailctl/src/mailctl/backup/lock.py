"""One lock for everything that reads or changes snapshots."""

from contextlib import AbstractContextManager

from mailctl.core import lock
from mailctl.core.context import Context
from mailctl.core.folders import hdd

NAME = ".mailctl-backup.lock"


def exclusive(context: Context, what: str) -> AbstractContextManager[None]:
    """Hold the lock of this disk while `what` runs. Raises Refused with who holds it; never waits."""
    return lock.exclusive(hdd(context) / NAME, "backup lock", what, "working on the snapshots")
