"""Exchanges what is live with what was prepared beside it; every step can be repeated after a crash."""

import errno
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from mailctl.backup.publish import exchange
from mailctl.core.errors import Problem, Refused

# Not every file system and container engine offers the exchange; two renames and the journal do the same.
WITHOUT_EXCHANGE = (errno.EINVAL, errno.ENOSYS, errno.ENOTSUP)


@dataclass(frozen=True)
class Swap:
    """`staged` takes the place of `live`, which is kept at `former`.

    The inodes `new` and `old` tell after a crash what lies where.
    """

    live: Path
    staged: Path
    former: Path
    new: int
    old: int | None

    @classmethod
    def of(cls, live: Path, staged: Path, former: Path) -> "Swap":
        """A swap of two things on one file system; `live` may be missing."""
        return cls(live, staged, former, _inode(staged) or 0, _inode(live))

    @property
    def undone(self) -> Path:
        """Where the restored state is kept when the former one was put back."""
        return self.former.with_name(self.former.name.replace("before-restore", "undone-restore"))

    def forward(self) -> None:
        """Make the prepared state live. Does nothing that was done before."""
        if _inode(self.staged) == self.new:
            _take_place(self.staged, self.live, self.former)
        if _inode(self.staged) is not None:
            os.rename(self.staged, self.former)

    def backward(self) -> None:
        """Put the former state back and keep the restored one, with what arrived since, at `undone`."""
        if self.old is None:
            if _inode(self.live) is not None and _inode(self.undone) is None:
                os.rename(self.live, self.undone)
            return
        if _inode(self.former) == self.old:
            _take_place(self.former, self.live, self.undone)
        if _inode(self.former) is not None:
            os.rename(self.former, self.undone)

    def as_dict(self) -> dict[str, Any]:
        return {name: str(v) if isinstance(v, Path) else v for name, v in asdict(self).items()}

    @classmethod
    def from_dict(cls, document: dict[str, Any]) -> "Swap":
        paths = {name: Path(document[name]) for name in ("live", "staged", "former")}
        return cls(**paths, new=document["new"], old=document["old"])


def _take_place(new: Path, live: Path, aside: Path) -> None:
    """Let `new` be live in one step; where that cannot be, by way of `aside`.

    Raises Refused for a mount point, which has no place to be moved to.
    """
    try:
        if _inode(live) is not None:
            if _exchanged(new, live):
                return
            os.rename(live, aside)
        os.rename(new, live)
    except OSError as error:
        wrong = f"cannot change places with {new}: {error.strerror}"
        fix = "it must be a folder of its disk, no mount point of its own; and run this command as root"
        raise Refused(Problem("restore", wrong, fix, value=str(live))) from None


def _exchanged(one: Path, other: Path) -> bool:
    """Swap both in one step; False where that does not exist."""
    try:
        exchange(one, other)
    except OSError as error:
        if error.errno not in WITHOUT_EXCHANGE:
            raise
        return False
    return True


def _inode(path: Path) -> int | None:
    try:
        return os.lstat(path).st_ino
    except FileNotFoundError:
        return None
