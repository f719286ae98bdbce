"""What a restore is about to do, on disk before it does it: the next call finishes it or takes it back."""

import json
import shutil
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from mailctl.backup.restore.swap import Swap
from mailctl.core import files
from mailctl.core.context import Context
from mailctl.core.errors import Problem, Refused
from mailctl.core.folders import private

# Preparing is taken back after a crash; everything later is carried to its end.
PREPARING, SWAPPING, RESTORED, UNDOING, UNDONE = "preparing", "swapping", "restored", "undoing", "undone"


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
        document: dict[str, Any] = {**asdict(self), "swaps": [swap.as_dict() for swap in self.swaps]}
        del document["path"]
        private(self.path.parent)
        files.write(self.path, json.dumps(document, indent=2) + "\n")

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
