"""Durable memory of accepted messages, so that a retry is answered and not delivered again.

Delivery is at least once. What remains: postfix has the message on disk, and this process dies (or the
connection breaks) after postfix's 250 left postfix and before the row below is committed. Then the outcome
is not known here, the caller is told 503 or nothing, and the retry is delivered a second time. No row can
close that window, because postfix and this file do not share a transaction. Everything else is covered:
answers lost on the way back, callers that gave up, restarts, and equal calls at one moment (delivery.py).
"""

import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

PRUNE_EVERY_SECONDS = 3600
_SCHEMA = """
CREATE TABLE IF NOT EXISTS messages(
    key TEXT PRIMARY KEY, accepted INTEGER NOT NULL, queue_id TEXT, at INTEGER NOT NULL
) WITHOUT ROWID
"""


class LedgerError(Exception):
    """The ledger cannot be read or written (disk full, damaged, no rights); nothing was changed."""


class Ledger:
    """One SQLite file. Thread-safe; opened on first use and again after an error, so it heals with the disk.

    `remember_seconds` is how long an accepted message is recognized; `clock` gives seconds since the epoch.
    """

    def __init__(self, path: Path, remember_seconds: int, clock: Callable[[], float] = time.time) -> None:
        self._path = path
        self._remember = remember_seconds
        self._clock = clock
        self._lock = threading.Lock()
        self._db: sqlite3.Connection | None = None
        self._pruned_at = float("-inf")

    def claim(self, key: str) -> tuple[bool, str | None]:
        """Return (accepted before?, its queue id), and leave a written claim if it was not.

        The claim proves that the ledger can be written before anything is handed to postfix. A claim that
        an earlier process left says nothing, so it is simply taken over. Raises LedgerError.
        """
        with self._transaction() as db:
            self._prune(db)
            db.execute(
                "INSERT OR IGNORE INTO messages VALUES (?, 0, '----------------', ?)",
                (key, int(self._clock())),
            )
            accepted, queue_id = db.execute(
                "SELECT accepted, queue_id FROM messages WHERE key = ?", (key,)
            ).fetchone()
        return (True, queue_id) if accepted else (False, None)

    def accept(self, key: str, queue_id: str | None) -> None:
        """Turn the claim into the memory of an accepted message. Raises LedgerError."""
        with self._transaction() as db:
            db.execute(
                "REPLACE INTO messages VALUES (?, 1, ?, ?)",
                (key, queue_id, int(self._clock())),
            )

    def release(self, key: str) -> None:
        """Drop the claim of a message that was not accepted. Raises LedgerError."""
        with self._transaction() as db:
            db.execute("DELETE FROM messages WHERE key = ? AND accepted = 0", (key,))

    def check(self) -> None:
        """Raise LedgerError unless a write transaction can be opened."""
        with self._transaction():
            pass

    def close(self) -> None:
        """Close the file; using the ledger again opens it again."""
        with self._lock:
            self._drop()

    def _prune(self, db: sqlite3.Connection) -> None:
        now = self._clock()
        if now - self._pruned_at >= PRUNE_EVERY_SECONDS:
            db.execute("DELETE FROM messages WHERE at < ?", (int(now) - self._remember,))
            self._pruned_at = now

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            try:
                db = self._db = self._db or self._open()
                db.execute("BEGIN IMMEDIATE")
                yield db
                db.execute("COMMIT")
            except (sqlite3.Error, OSError) as error:
                self._drop()
                raise LedgerError(f"{self._path}: {error}") from error
            except BaseException:
                self._drop()
                raise

    def _open(self) -> sqlite3.Connection:
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        db = sqlite3.connect(self._path, timeout=2, isolation_level=None, check_same_thread=False)
        try:
            db.execute("PRAGMA journal_mode = WAL")
            db.execute("PRAGMA synchronous = FULL")
            db.execute("PRAGMA trusted_schema = OFF")
            db.execute(_SCHEMA)
        except BaseException:
            db.close()
            raise
        return db

    def _drop(self) -> None:
        if self._db is not None:
            self._db.close()
            self._db = None
