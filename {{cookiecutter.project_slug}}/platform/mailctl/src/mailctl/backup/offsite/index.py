"""The encrypted index of a copy: which pack holds what.

An index holds only what changed since the one before; now and then a whole one begins a new chain. So a day
costs what its new mail costs, however large the mailboxes are. Once read it is in a file of its own, not in
memory: a million mails take no more of it than ten.
"""

import gzip
import hashlib
import json
import posixpath
import re
import sqlite3
from collections.abc import Iterable, Iterator
from dataclasses import astuple
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

from mailctl.backup.offsite import packs
from mailctl.backup.offsite.copies import Remote
from mailctl.backup.offsite.objects import Bucket
from mailctl.backup.offsite.packs import File
from mailctl.core import encryption
from mailctl.core import snapshot_manifest as manifest
from mailctl.core.errors import Problem, Refused
from mailctl.core.snapshots import Snapshot

LONGEST_CHAIN = 50
TOP = {"mail", "mysql", "config", "ssl", "dkim", "learned", "groupware", "manifest.json", "mail.sha256"}
_NAME = re.compile(r"[0-9a-f]{64}")
# `had` is the snapshot that was copied last, `now` the one that is being copied or fetched.
_TABLES = """
PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA temp_store = FILE; PRAGMA cache_size = -32000;
CREATE TABLE had (path BLOB PRIMARY KEY, sha, size, mtime, mode) WITHOUT ROWID;
CREATE TABLE now (path BLOB PRIMARY KEY, sha, size, mtime, mode) WITHOUT ROWID;
CREATE INDEX now_sha ON now (sha);
CREATE TABLE todo (path BLOB PRIMARY KEY, sha, size, mtime, mode) WITHOUT ROWID;
CREATE TABLE packs (sha PRIMARY KEY, pack, new) WITHOUT ROWID;
CREATE TABLE folders (path PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE there (path BLOB PRIMARY KEY) WITHOUT ROWID;
"""
_MAIL_OF_HAD = "SELECT path, sha FROM had WHERE path >= ? AND path < ? ORDER BY path"
_MAIL_OF_NOW = "SELECT path, sha FROM now WHERE path >= ? AND path < ? ORDER BY path"


class Index:
    """The files of the last copy and of this one by path, and the pack of each content by its SHA-256."""

    def __init__(self, folder: Path) -> None:
        self.folder, path = folder, folder / "index.partial"
        path.unlink(missing_ok=True)
        self.db = sqlite3.connect(path, isolation_level=None)
        self.db.executescript(_TABLES)
        path.unlink()  # open until it is closed, and gone with this process
        self.run("BEGIN")

    def __enter__(self) -> "Index":
        return self

    def __exit__(self, *_: object) -> None:
        self.db.close()

    def run(self, *statements: str) -> None:
        for statement in statements:
            self.db.execute(statement)

    def rows(self, query: str, *values: object) -> sqlite3.Cursor:
        return self.db.execute(query, values)

    def one(self, query: str, *values: object) -> Any:
        """The single value that a query gives."""
        return self.db.execute(query, values).fetchone()[0]

    def files(self, query: str, *values: object) -> Iterator[File]:
        return (File(path_of(row[0]), *row[1:]) for row in self.db.execute(query, values))

    def file(self, path: str) -> File | None:
        """A file of `had`."""
        return next(self.files("SELECT * FROM had WHERE path = ?", raw(path)), None)

    def note_there(self, paths: Iterable[str]) -> None:
        """Files of `had` that need not be fetched."""
        self.db.executemany("INSERT INTO there VALUES (?)", ((raw(path),) for path in paths))

    def add(self, files: Iterable[File]) -> None:
        """Files of `now`."""
        rows = ((raw(file.path), *astuple(file)[1:]) for file in files)
        self.db.executemany("INSERT OR REPLACE INTO now VALUES (?, ?, ?, ?, ?)", rows)

    def hold(self, pack: str, shas: Iterable[str], new: bool = True) -> None:
        """Note that a pack holds these."""
        rows = ((sha, pack, new) for sha in shas)
        self.db.executemany("INSERT OR REPLACE INTO packs VALUES (?, ?, ?)", rows)

    def forget(self) -> None:
        """Know of nothing that was copied."""
        self.run("DELETE FROM had", "DELETE FROM packs", "DELETE FROM folders")

    def keep(self, names: Iterable[str]) -> None:
        """Of all packs only these are there."""
        kept = set(names)
        for (pack,) in self.rows("SELECT DISTINCT pack FROM packs").fetchall():
            if pack not in kept:
                self.rows("DELETE FROM packs WHERE pack = ?", pack)

    def fill(self, found: Snapshot) -> None:
        """Take what a snapshot holds as `now`. Raises Refused for a file that is missing."""
        self.run("DELETE FROM now", "DELETE FROM folders")
        self.add(packs.listing(found))
        below = ((raw(path),) for path in packs.empty_folders(found))
        self.db.executemany("INSERT INTO folders VALUES (?)", below)
        digest = hashlib.sha256()
        for line in self.mail_index(_MAIL_OF_NOW):
            digest.update(line)
        follows = (raw(manifest.MAIL_INDEX), digest.hexdigest())
        self.rows("DELETE FROM now WHERE path = ? AND sha = ?", *follows)

    def mail_index(self, mail: str = _MAIL_OF_HAD) -> Iterator[bytes]:
        """mail.sha256 as it follows from the files, so that it need not travel."""
        found = self.rows(mail, b"mail/", b"mail0")
        return (manifest.index_line(path_of(path), sha) for path, sha in found)

    def new_bytes(self) -> int:
        """Content of `now` that is in no pack is listed by this, for `new`; its bytes."""
        self.run("DELETE FROM todo")
        self.run(
            "INSERT INTO todo SELECT min(path), sha, size, mtime, mode FROM now"
            " WHERE sha NOT IN (SELECT sha FROM packs) GROUP BY sha"
        )
        return int(self.one("SELECT coalesce(sum(size), 0) FROM todo"))

    def new(self) -> Iterator[File]:
        return self.files("SELECT * FROM todo ORDER BY path")

    def wants(self, sha: str) -> bool:
        return bool(self.rows("SELECT 1 FROM now WHERE sha = ? LIMIT 1", sha).fetchone())

    def needed(self) -> list[str]:
        """The packs that hold the content of `now`."""
        return [pack for (pack,) in self.rows("SELECT DISTINCT pack FROM now JOIN packs USING (sha)")]

    def size(self) -> int:
        return int(self.one("SELECT coalesce(sum(size), 0) FROM now"))

    def clear(self) -> None:
        """Forget what was copied before: what is written next is whole."""
        self.run("DELETE FROM had")

    def advance(self) -> None:
        """What was being copied is what was copied last."""
        self.run("DELETE FROM had", "INSERT INTO had SELECT * FROM now", "DELETE FROM folders")
        self.run("DELETE FROM packs WHERE sha NOT IN (SELECT sha FROM had)", "UPDATE packs SET new = 0")

    def load(self, bucket: Bucket, found: Remote, identities: list[str]) -> None:
        """Read a chain into `had`. Raises Refused: unreadable, or with paths that lead elsewhere."""
        for name in found.chain:
            with TemporaryFile(dir=self.folder) as sealed, TemporaryFile(dir=self.folder) as plain:
                if name not in found.objects:
                    raise _damaged(name, "its manifest does not list it")
                bucket.get_data(name, sealed, found.objects[name].size)
                sealed.seek(0)
                encryption.decrypt(sealed, plain, identities)
                plain.seek(0)
                try:
                    self.db.execute("DELETE FROM folders")
                    with gzip.open(plain, "rb") as lines:
                        for line in lines:
                            self._apply(json.loads(line))
                except (OSError, EOFError, ValueError, TypeError, KeyError, sqlite3.Error) as error:
                    raise _damaged(name, str(error)) from None

    def _apply(self, line: Any) -> None:
        if isinstance(line, dict):  # of version 1: all of it in one document
            for path in line["gone"]:
                self._apply(["-", path])
            for path, rest in line["files"].items():
                self._apply(["+", path, *rest, None])
            for path in line["folders"]:
                self._apply(["/", path])
            for pack, shas in line["packs"].items():
                self.hold(pack, shas, new=False)
            return
        kind, what, *rest = line
        if kind in "+/-" and not stays_inside(what):
            raise ValueError(f"the path {what!r} leads out of the snapshot")
        if kind == "+":
            *about, pack = rest
            if not _NAME.fullmatch(about[0]) or about[1] < 0:
                raise ValueError(f"the entry of {what!r} is none")
            self.rows("INSERT OR REPLACE INTO had VALUES (?, ?, ?, ?, ?)", raw(what), *about)
            if pack:
                self.hold(pack, [about[0]], new=False)
        elif kind == "-":
            self.db.execute("DELETE FROM had WHERE path = ?", (raw(what),))
        elif kind == "/":
            self.db.execute("INSERT OR IGNORE INTO folders VALUES (?)", (raw(what),))

    def write(self, recipients: list[str]) -> Path:
        """Write what `now` changes as an encrypted index; its file in the folder."""
        with TemporaryFile(dir=self.folder) as plain:
            with gzip.open(plain, "wb", compresslevel=6) as target:
                self._lines(target)
            plain.seek(0)
            return packs.seal(self.folder, plain, recipients)

    def _lines(self, target: gzip.GzipFile) -> None:
        def line(*words: object) -> None:
            target.write(json.dumps(words, separators=(",", ":")).encode() + b"\n")

        for (path,) in self.rows("SELECT path FROM had WHERE path NOT IN (SELECT path FROM now)"):
            line("-", path_of(path))
        changed = (
            "SELECT now.*, pack FROM now JOIN packs USING (sha) LEFT JOIN had USING (path) WHERE new OR"
            " (now.sha, now.size, now.mtime, now.mode) IS NOT (had.sha, had.size, had.mtime, had.mode)"
        )
        for path, *rest in self.rows(changed):
            line("+", path_of(path), *rest)
        for (path,) in self.rows("SELECT path FROM folders"):
            line("/", path_of(path))


def raw(path: str) -> bytes:
    """A path as the tables have it: their order is then that of text, names that are no UTF-8 included."""
    return path.encode("utf-8", "surrogatepass")


def path_of(stored: bytes) -> str:
    return stored.decode("utf-8", "surrogatepass")


def stays_inside(path: str) -> bool:
    """Whoever may write to the bucket may write an index: it must not name files of the host."""
    parts = path.split("/")
    return parts[0] in TOP and not {"", ".", ".."} & set(parts) and "\0" not in path


def judge(index: Index, links: dict[str, str]) -> None:
    """Raises Refused when a file or link stands where others need a folder, or a link leads out.

    Before anything is created: then nothing is ever written through a link.
    """

    for path, target in links.items():
        goal = posixpath.normpath(posixpath.join(posixpath.dirname(path), target))
        if not (stays_inside(path) and path.startswith("mail/") and goal.startswith("mail/")) or index.file(
            path
        ):
            raise _damaged(path, f"the link to {target!r} leads out of the mail")
    above = {"/".join(each.split("/")[:n]) for each in links for n in range(1, each.count("/") + 1)}
    for (found,) in index.rows("SELECT path FROM had UNION ALL SELECT path FROM folders"):
        path = path_of(found)
        # Of a folder all its parents are known already, so this stays small.
        while (path := path.rpartition("/")[0]) and path not in above:
            above.add(path)
    for (found,) in index.rows("SELECT path FROM folders"):
        above.add(path_of(found))
    for path in sorted(above):
        if path in links or index.file(path):
            raise _damaged(path, "is a folder and something else at once")


def _damaged(name: str, why: str) -> Refused:
    fix = "use another snapshot: .venv/bin/mailctl sync --list"
    return Refused(Problem("index", f"is damaged: {why}", fix, value=name))


def worn(sizes: list[int]) -> bool:
    """Whether a chain is so long, or its changes so large, that a whole index is the better next one."""
    first, *rest = sizes
    return len(sizes) >= LONGEST_CHAIN or sum(rest) > first
