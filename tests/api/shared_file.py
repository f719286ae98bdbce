"""A SQLite file for the shared database where there is no MariaDB: with locks that a connection holds."""

import sqlite3
from pathlib import Path

from mailserver_api.stores import FileStore

#: Who holds which lock, of all connections of this process.
LOCKS: dict[str, sqlite3.Connection] = {}


class Connection(sqlite3.Connection):
    """Its locks end with it."""

    def get_lock(self, name: str, _seconds: int) -> int:
        return int(LOCKS.setdefault(name, self) is self)

    def release_lock(self, name: str) -> None:
        if LOCKS.get(name) is self:
            del LOCKS[name]

    def close(self) -> None:
        for name in [name for name, owner in LOCKS.items() if owner is self]:
            del LOCKS[name]
        super().close()


class SharedFile(FileStore):
    """What replicas of a test share."""

    is_shared = True

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        FileStore.open(self).close()

    def open(self) -> sqlite3.Connection:
        """Connect; the tables are there."""
        db = sqlite3.connect(
            self.path, timeout=60, check_same_thread=False, isolation_level=None, factory=Connection
        )
        db.execute("CREATE TABLE IF NOT EXISTS reports(name TEXT PRIMARY KEY, document TEXT)")
        db.create_function("GET_LOCK", 2, db.get_lock)
        db.create_function("RELEASE_LOCK", 1, db.release_lock)
        return db
