"""Deployments on disk: the journal of the one under way, and a document for each that ended."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, TypeVar

from mailctl.core import files, lock
from mailctl.core.context import Context
from mailctl.core.disks import folder_of, unmounted
from mailctl.core.errors import Problem, Refused
from mailctl.core.folders import private
from mailctl.core.hold import make_folders

T = TypeVar("T")
# Nothing is touched yet; the live tree and its containers change; they change back.
PREPARING, SWITCHING, ROLLING_BACK = "preparing", "switching", "rolling-back"
DEPLOYED, UNCHANGED = "deployed", "unchanged"
ROLLED_BACK, REFUSED, FAILED = "rolled-back", "refused", "failed"
# How many good deployments one can go back to, and how many documents are kept.
KEPT, HISTORY = 5, 200


@dataclass
class Point:
    """What one can go back to: a commit, its images by service, and the rest of the state for people."""

    ref: str
    images: dict[str, str] = field(default_factory=dict)
    #: Which container read which files: {service: [container id, digest]}.
    files: dict[str, list[str]] = field(default_factory=dict)
    #: What our own images were built from: {service: git's id of the folder}.
    contexts: dict[str, str] = field(default_factory=dict)
    states: dict[str, str] = field(default_factory=dict)
    schema: str | None = None


@dataclass
class Journal:
    """The deployment under way; on disk before anything follows from it."""

    id: str
    target: Point
    before: Point | None
    kind: str = "deploy"
    phase: str = PREPARING
    #: What is to be recreated, and why.
    planned: dict[str, str] = field(default_factory=dict)
    touched: list[str] = field(default_factory=list)
    away: dict[str, float] = field(default_factory=dict)
    dump: str | None = None
    attempts: int = 0
    reason: str = ""
    culprit: str | None = None
    log: str = ""
    #: What is held for this deployment (deploy/hold.py); None: nothing.
    hold: dict[str, Any] | None = None
    #: What the canaries knew before anything was touched.
    past: dict[str, Any] = field(default_factory=dict)


class Records:
    """The folder of deployments on the fast disk."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @classmethod
    def of(cls, context: Context) -> "Records":
        """Raises Refused: SSD_PATH is not set, or its disk is not mounted."""
        ssd = folder_of(context, "SSD_PATH")
        if problem := unmounted("SSD_PATH", ssd):
            raise Refused(problem)
        return cls(ssd / ".mailctl" / "deploy")

    @property
    def stage(self) -> Path:
        return self.folder / "stage"

    @contextmanager
    def locked(self, what: str) -> Iterator[None]:
        """One deployment at a time. Raises Refused with who is at work."""
        private(self.folder)
        # Services mount them, and an older version's `make setup` did not make them.
        (self.folder.parents[1] / "monitor").mkdir(mode=0o755, exist_ok=True)
        (self.folder.parents[1] / "hasten").mkdir(mode=0o755, exist_ok=True)
        make_folders(self.folder.parents[1])
        with lock.exclusive(self.folder / "lock", "deploy lock", what, "changing this host"):
            yield

    @property
    def busy(self) -> str:
        """What is deploying now, empty when nothing is."""
        return lock.holder(self.folder / "lock")

    def journal(self) -> Journal | None:
        """What a killed call has begun. Raises Refused when it cannot be read."""
        path = self.folder / "journal.json"
        try:
            document = json.loads(path.read_text("utf-8"))
            before = document.pop("before")
            target = _known(Point, document.pop("target"))
            return _known(Journal, {"target": target, "before": before and _known(Point, before), **document})
        except FileNotFoundError:
            return None
        except (OSError, ValueError, TypeError, KeyError) as error:
            wrong = f"cannot be read: {type(error).__name__}"
            fix = "move it away; then make deploy REF=… with the commit that shall run"
            raise Refused(Problem("journal of the deployment", wrong, fix, value=str(path))) from None

    def left(self) -> dict[str, Any] | None:
        """What an earlier deployment left on hold, as nothing was known to work when it ended."""
        try:
            found: dict[str, Any] = json.loads((self.folder / "held.json").read_text("utf-8"))
        except FileNotFoundError:
            return None
        return found

    def write(self, journal: Journal) -> None:
        _write(self.folder / "journal.json", asdict(journal))

    def end(self, journal: Journal, document: dict[str, Any]) -> None:
        """Put its result into the history, then forget the journal: a crash between does it again.

        Mail that it leaves on hold is for the next one to release.
        """
        self.add(journal.id, document)
        left = self.folder / "held.json"
        if journal.hold and journal.hold["since"] and journal.hold["seconds"] is None:
            _write(left, journal.hold)
        else:
            left.unlink(missing_ok=True)
        (self.folder / "journal.json").unlink(missing_ok=True)

    def add(self, id: str, document: dict[str, Any]) -> None:
        """Keep a document; those that one can go back to stay, however many were refused since."""
        folder = self.folder / "history"
        _write(folder / f"{id}.json", {"id": id, "at": time.time(), **document})
        reach = [one["id"] for one in self.history() if one.get("state")][:KEPT]
        for old in sorted(folder.glob("*.json"))[:-HISTORY]:
            if old.stem not in reach:
                old.unlink()

    def history(self) -> list[dict[str, Any]]:
        """All that ended, the newest first; what cannot be read is left out."""
        found = []
        for path in sorted((self.folder / "history").glob("*.json"), reverse=True):
            try:
                found.append(json.loads(path.read_text("utf-8")))
            except (OSError, ValueError):
                continue
        return found

    def points(self) -> list[Point]:
        """What one can go back to, the newest first: the state after each deployment that ended well."""
        return [_known(Point, one["state"]) for one in self.history() if one.get("state")]

    def usual(self) -> dict[str, float]:
        """For how long each service was down the last times, the median, in seconds."""
        seen: dict[str, list[float]] = {}
        for one in self.history()[:20]:
            for name, seconds in (one.get("away") or {}).items():
                seen.setdefault(name, []).append(seconds)
        return {name: sorted(times)[len(times) // 2] for name, times in seen.items()}


def _known(kind: type[T], document: dict[str, Any]) -> T:
    """One that another version wrote: fields that are not known here are left out; so it can be undone."""
    known = {one.name for one in fields(kind)}  # type: ignore[arg-type]
    return kind(**{name: value for name, value in document.items() if name in known})


def new_id() -> str:
    """Sorts by time, and fits into an image's tag."""
    seconds, rest = divmod(time.time_ns() // 1_000_000, 1000)
    return f"{time.strftime('%Y%m%dT%H%M%S', time.gmtime(seconds))}.{rest:03}Z"


def _write(path: Path, document: dict[str, Any]) -> None:
    private(path.parent)
    files.write(path, json.dumps(document, indent=1) + "\n")
