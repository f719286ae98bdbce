"""What this host has put into S3, and the packs on their way, with a note beside each: a run goes on."""

import fcntl
import json
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from datetime import timedelta
from pathlib import Path

from mailctl.backup.offsite.copies import LAST, Remote
from mailctl.backup.offsite.objects import Bucket, Entry, now, text_sum
from mailctl.core import files, folders, job_results
from mailctl.core import snapshot_manifest as manifest
from mailctl.core.context import Context
from mailctl.core.errors import Problem, Refused


@dataclass(frozen=True)
class Put:
    """An object: S3's checksum, its version ("": not known yet), locked until (ISO 8601). "": not ours."""

    sum: str
    version: str
    until: str

    @property
    def was_there(self) -> bool:
        """Whether it was in S3 before this host began to note what it sends."""
        return bool(self.sum) and not self.until


class Record:
    """What was sent, by names below the prefix: by this, somebody else's work in S3 stands out.

    Noted before an object is sent, so that a killed run leaves nothing unknown.
    """

    def __init__(self, path: Path) -> None:
        self._db = sqlite3.connect(path, isolation_level=None)
        self._db.execute("CREATE TABLE IF NOT EXISTS put (name TEXT PRIMARY KEY, sum, version, until)")

    def close(self) -> None:
        self._db.close()

    def __enter__(self) -> "Record":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __getitem__(self, name: str) -> Put | None:
        row = self._db.execute("SELECT sum, version, until FROM put WHERE name = ?", (name,)).fetchone()
        return Put(*row) if row else None

    def __setitem__(self, name: str, put: Put) -> None:
        row = (name, put.sum, put.version, put.until)
        self._db.execute("INSERT OR REPLACE INTO put VALUES (?, ?, ?, ?)", row)

    def adopt(self, names: Iterable[str]) -> None:
        """Note what is there, all of it or nothing."""
        with self._db:
            self._db.execute("BEGIN")
            self._db.executemany("INSERT INTO put VALUES (?, '', '', '')", ((name,) for name in names))

    def names(self) -> list[str]:
        return [name for (name,) in self._db.execute("SELECT name FROM put ORDER BY name")]

    def forget(self, name: str) -> None:
        self._db.execute("DELETE FROM put WHERE name = ?", (name,))


@dataclass
class Journal:
    """A pack in the working folder: what it holds, the id of its upload in parts, and whether S3 has it."""

    entry: Entry
    blobs: list[str]
    upload: str | None = None
    done: bool = False


@dataclass(frozen=True)
class Working:
    """HDD_PATH/.mailctl/offsite, and what this host has sent until now."""

    folder: Path
    record: Record

    def names(self) -> list[str]:
        return [path.stem for path in sorted(self.folder.glob("*.json"))]

    def __getitem__(self, name: str) -> Journal:
        document = json.loads((self.folder / f"{name}.json").read_bytes())
        return Journal(**{**document, "entry": Entry(**document["entry"])})

    def __setitem__(self, name: str, journal: Journal) -> None:
        files.write(self.folder / f"{name}.json", json.dumps(asdict(journal)))

    def forget(self, name: str) -> None:
        for path in (self.folder / name, self.folder / f"{name}.json"):
            path.unlink(missing_ok=True)


@contextmanager
def working(context: Context, wait: bool = False) -> Iterator[Working]:
    """The folder, cleaned of broken packs, for one run at a time and while it lives.

    Not the lock of backups: an upload may take days, and the next backup must not wait for it.
    """
    home = folders.hdd(context) / job_results.FOLDER
    folder = folders.private(home / "offsite")
    with (folder / ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            wrong, fix = "another mailctl sync is copying", "wait until it is done"
            raise Refused(Problem("sync", wrong, fix, value=str(folder))) from None
        _clean(folder)
        with Record(home / "offsite.db") as record:
            yield Working(folder, record)


def put_data(
    bucket: Bucket,
    working: Working,
    name: str,
    entry: Entry,
    resume: str | None = None,
    begun: Callable[[str], None] = lambda _: None,
) -> None:
    """Upload a file of the working folder, noted before and after."""
    noted = Put(entry.sum, "", entry.until)
    working.record[f"data/{name}"] = noted
    version = bucket.put(name, working.folder / name, entry, resume, begun)
    working.record[f"data/{name}"] = replace(noted, version=version)


def put_manifest(bucket: Bucket, working: Working, made: Remote, body: bytes) -> None:
    """Upload a signed manifest, noted before and after."""
    key, until = f"{made.id}{LAST}", now() + timedelta(days=made.lock_days)
    noted = Put(text_sum(body), "", until.isoformat())
    working.record[key] = noted
    working.record[key] = replace(noted, version=bucket.put_text(key, body))


def _clean(folder: Path) -> None:
    """Keep whole packs with their notes, and nothing else that a killed run left."""
    kept = {note.stem for note in folder.glob("*.json") if _usable(note)}
    for path in folder.iterdir():
        if path.stem not in kept and path.name != ".lock":
            path.unlink()


def _usable(note: Path) -> bool:
    """Whether S3 has the pack, or its bytes are here and are what its name says."""
    with suppress(OSError, ValueError, KeyError):
        return (
            json.loads(note.read_bytes())["done"] or manifest.file_digest(note.with_suffix("")) == note.stem
        )
    return False
