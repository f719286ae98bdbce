"""What a restore is about to do, on disk before it does it: the next call finishes it or takes it back."""

import errno
import json
import os
import shutil
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from mailctl.backup.publish import exchange
from mailctl.core import files
from mailctl.core.context import Context
from mailctl.core.errors import Problem, Refused
from mailctl.core.folders import private

# Not every file system and container engine offers the exchange; two renames and the journal do the same.
WITHOUT_EXCHANGE = (errno.EINVAL, errno.ENOSYS, errno.ENOTSUP)
# Preparing is taken back after a crash; everything later is carried to its end.
PREPARING, SWAPPING, RESTORED, UNDOING, UNDONE = "preparing", "swapping", "restored", "undoing", "undone"


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

    @classmethod
    def from_dict(cls, document: dict[str, Any]) -> "Swap":
        paths = {name: Path(document[name]) for name in ("live", "staged", "former")}
        return cls(**paths, new=document["new"], old=document["old"])


@dataclass
class Journal:
    """One restore: `leftovers` are what a crash leaves behind, `services` what must run again.

    `started`: they do run again since the last change of phase.
    """

    path: Path
    id: str
    snapshot: str
    components: list[str]
    phase: str = PREPARING
    leftovers: list[str] = field(default_factory=list)
    services: list[str] = field(default_factory=list)
    swaps: list[Swap] = field(default_factory=list)
    started: bool = False

    @classmethod
    def at(cls, context: Context) -> Path:
        return context.folder("HDD_PATH", "") / ".mailctl" / "restore-journal.json"

    @classmethod
    def read(cls, context: Context) -> "Journal | None":
        """The restore that is under way or not yet confirmed. Raises Refused when the file is broken."""
        path = cls.at(context)
        try:
            document = json.loads(path.read_text("utf-8"))
            swaps = [Swap.from_dict(one) for one in document.pop("swaps")]
            return cls(path=path, swaps=swaps, **document)
        except FileNotFoundError:
            return None
        except (OSError, ValueError, TypeError, KeyError) as error:
            wrong = f"cannot be read: {type(error).__name__}"
            fix = "look at the folders …before-restore-… on the disks, then move this file away"
            raise Refused(Problem("journal of the restore", wrong, fix, value=str(path))) from None

    def write(self) -> None:
        """On the disk before anything follows from it."""
        document = asdict(self)
        del document["path"]
        private(self.path.parent)
        files.write(self.path, json.dumps(document, indent=2, default=str) + "\n")

    def enter(self, phase: str) -> None:
        self.phase, self.started = phase, False
        self.write()

    def forward(self) -> None:
        for swap in self.swaps:
            swap.forward()
        self._sync()

    def backward(self) -> None:
        for swap in reversed(self.swaps):
            swap.backward()
        self._sync()

    def discard(self) -> None:
        """Take back what was only prepared."""
        remove(Path(name) for name in self.leftovers)
        self.path.unlink(missing_ok=True)

    def confirm(self) -> None:
        """Delete the states that were kept. A crash on the way leaves the rest to the next call."""
        remove(path for swap in self.swaps for path in (swap.former, swap.undone))
        self.discard()

    @property
    def kept(self) -> list[Path]:
        """The states that are kept beside the live ones, as they are on disk now."""
        found = (path for swap in self.swaps for path in (swap.former, swap.undone))
        return [path for path in found if path.exists()]

    def _sync(self) -> None:
        for folder in {swap.live.parent for swap in self.swaps}:
            files.sync_folder(folder)


def remove(paths: Iterable[Path]) -> None:
    for path in paths:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


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
