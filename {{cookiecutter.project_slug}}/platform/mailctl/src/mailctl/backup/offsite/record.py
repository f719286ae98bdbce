"""What this host has put into S3, kept on its own disk: so that somebody else's work there stands out."""

import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path


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
    """Names below the prefix. Noted before an object is sent, so that a killed run leaves nothing unknown."""

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
