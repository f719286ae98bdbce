"""Snapshots on disk: finding them, reading one, and telling whether every file is as it was written."""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from heapq import merge
from itertools import islice
from pathlib import Path
from typing import Any

from mailctl.core import snapshot_manifest as manifest
from mailctl.core.errors import Problem, Refused
from mailctl.core.snapshot_manifest import AGAIN, COMPONENTS, FILE, MAIL_INDEX, Manifest

KINDS = ("daily", "weekly")
THREADS, BATCH = 4, 1000
# Called with what was done since the last call: files, bytes.
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Snapshot:
    """One snapshot folder and its manifest."""

    path: Path
    manifest: Manifest

    @property
    def id(self) -> str:
        return self.manifest.id

    @property
    def good(self) -> bool:
        """Whether all its components were saved. What happened to the files since, `verify` tells."""
        return self.manifest.ok

    @property
    def taken(self) -> datetime:
        """When it began: mail accepted before is in it."""
        return self.manifest.started

    @property
    def mailboxes(self) -> Mapping[str, Mapping[str, Any]]:
        return self.manifest.mailboxes

    @property
    def day(self) -> date:
        return date.fromisoformat(self.id.partition("/")[2])


def read(path: Path) -> Snapshot:
    """The snapshot at `path`. Raises Refused: missing, not JSON, not the schema, or another's id."""
    path = path.expanduser().absolute()
    if path.is_symlink() or not path.is_dir():
        raise Refused(Problem("snapshot", "there is no such folder", AGAIN, value=str(path)))
    found = Snapshot(path, manifest.load(path))
    if found.id != "/".join(path.parts[-2:]):
        wrong = f"its manifest is that of {found.id}"
        raise Refused(Problem("snapshot", wrong, AGAIN, value=str(path)))
    return found


def every(hdd: Path) -> list[Snapshot]:
    """All readable snapshots below HDD_PATH, in the order in which they were taken."""
    found = []
    for path in (path for kind in KINDS for path in _dated(hdd / kind)):
        with suppress(Refused):  # whoever restores it is told
            found.append(read(path))
    return sorted(found, key=order)


def latest(hdd: Path) -> Snapshot | None:
    """The newest snapshot that is good."""
    return next((found for found in reversed(every(hdd)) if found.good), None)


def order(found: Snapshot) -> tuple[bool, datetime, bool]:
    """Sorts by age, oldest first. A date in the future is from before the clock was set back, hence older."""
    tomorrow = datetime.now(UTC).date() + timedelta(days=1)
    return found.day <= tomorrow, found.taken, found.manifest.kind == "daily"


def verify(
    snapshot: Snapshot,
    components: Iterable[str] = COMPONENTS,
    progress: Progress | None = None,
    digest: Callable[[Path], str] = manifest.file_digest,
) -> list[Problem]:
    """Compare every file with the manifest: missing, added, changed, cut, swapped. Empty: exactly right.

    `digest` gives the SHA-256 of a file; a restore copies the file while it reads it for that.
    """
    problems: list[Problem] = []
    chosen = snapshot.manifest.expected(components)
    for name in chosen:
        component = snapshot.manifest.components[name]
        if not component["ok"]:
            problems.append(_problem(snapshot, name, f"was not saved: {component['error']}"))
        elif name == "mail":
            problems += _verify_mail(snapshot, progress, digest)
        else:
            wanted = sorted((path, entry["sha256"]) for path, entry in component["list"].items())
            problems += _compare(snapshot, name, wanted, {}, progress, digest)
    known = {FILE, MAIL_INDEX, *COMPONENTS}
    return problems + [
        _problem(snapshot, name, "does not belong to the snapshot")
        for name in sorted(os.listdir(snapshot.path))
        if name not in known
    ]


def _verify_mail(
    snapshot: Snapshot, progress: Progress | None, digest: Callable[[Path], str]
) -> list[Problem]:
    component = snapshot.manifest.components["mail"]
    try:
        if manifest.file_digest(snapshot.path / MAIL_INDEX) != component["index_sha256"]:
            return [_problem(snapshot, MAIL_INDEX, "is not the one that the manifest names")]
    except OSError as error:
        return [_problem(snapshot, MAIL_INDEX, f"cannot be read: {error.strerror}")]
    links = component["links"]
    wanted = merge(manifest.read_index(snapshot.path / MAIL_INDEX), sorted((path, "") for path in links))
    return _compare(snapshot, "mail", wanted, links, progress, digest)


def _compare(
    snapshot: Snapshot,
    name: str,
    wanted: Iterable[tuple[str, str]],
    links: Mapping[str, str],
    progress: Progress | None,
    digest: Callable[[Path], str],
) -> list[Problem]:
    """Every file of one component, hashed in parallel: SHA-256 and reading let other threads run.

    `wanted`, path and SHA-256, is sorted by path, as the files are walked: memory holds one folder's names.
    """
    missing: list[str] = []
    added: list[str] = []
    both = _joined(wanted, _walk(snapshot.path, name), missing, added)

    def judge(row: tuple[str, str]) -> Problem | None:
        path, sha = row
        full = snapshot.path / path
        try:
            if path in links:
                good = os.readlink(full) == links[path]
            else:
                good = digest(full) == sha
                if progress:
                    progress(1, full.lstat().st_size)
        except OSError as error:
            return _problem(snapshot, path, f"cannot be read: {error.strerror}")
        return None if good else _problem(snapshot, path, "is not what was saved: its checksum differs")

    differs: list[Problem] = []
    with ThreadPoolExecutor(THREADS) as pool:
        # A pool remembers all that it has been given.
        while batch := list(islice(both, BATCH)):
            differs += [problem for problem in pool.map(judge, batch) if problem]
    told = [_problem(snapshot, path, "is missing") for path in missing]
    return [*told, *(_problem(snapshot, path, "was added later") for path in added), *differs]


def _joined(
    wanted: Iterable[tuple[str, str]], there: Iterator[str], missing: list[str], added: list[str]
) -> Iterator[tuple[str, str]]:
    """The rows of `wanted` whose path is `there`, both sorted; fills the lists with what only one has."""
    path = next(there, None)
    for row in wanted:
        while path is not None and path < row[0]:
            added.append(path)
            path = next(there, None)
        if path == row[0]:
            yield row
            path = next(there, None)
        else:
            missing.append(row[0])
    if path is not None:
        added += [path, *there]


def _walk(root: Path, below: str) -> Iterator[str]:
    """Everything that is not a folder, as a path from `root`, sorted; links are named, not followed."""
    try:
        with os.scandir(root / below) as entries:
            # With its slash a folder stands where the paths of what is in it do.
            names = [f"{e.name}/" if e.is_dir(follow_symlinks=False) else e.name for e in entries]
    except FileNotFoundError:
        return
    for name in sorted(names):
        if name.endswith("/"):
            yield from _walk(root, f"{below}/{name[:-1]}")
        else:
            yield f"{below}/{name}"


def _dated(folder: Path) -> Iterator[Path]:
    """The folders named by a date; hidden ones are unfinished or being removed."""
    for path in sorted(folder.glob("????-??-??")):
        with suppress(ValueError):
            if date.fromisoformat(path.name) and not path.is_symlink():
                yield path


def _problem(snapshot: Snapshot, path: str, wrong: str) -> Problem:
    return Problem(f"{snapshot.id}/{path}", wrong, AGAIN)
