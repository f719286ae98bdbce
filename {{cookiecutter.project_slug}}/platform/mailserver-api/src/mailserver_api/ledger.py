"""Durable memory of outcomes, so that a retry is told them and nothing is delivered twice.

Remembered is every acceptance, and a refusal of the content that came after the caller was told to try again.
Not remembered is what happens if this process or postfix dies between the end of a message and the commit
of its row: nobody here knows then whether postfix has it. The retry is submitted again, under the same key
(delivery.py puts it on top of the message), by which the last hop recognizes it.

Nor does mail stop when this file fails: a damaged one is set aside, and all else is logged and counted.
"""

import asyncio
import logging
import sqlite3
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from prometheus_client import Counter

from mailserver_api.verdicts import Outcome, Reply, Stage, Verdict

log = logging.getLogger(__name__)
T = TypeVar("T")
PRUNE_EVERY_SECONDS = 3600
_SCHEMA = (
    """
CREATE TABLE IF NOT EXISTS outcomes(
    key TEXT PRIMARY KEY, verdict TEXT NOT NULL, queue_id TEXT, code INTEGER, text TEXT, at INTEGER NOT NULL
) WITHOUT ROWID
""",
    # Of accepted mails (forwards.py): `state` is due, done or failed, `handed` when a Worker got it last.
    """
CREATE TABLE IF NOT EXISTS forwards(
    key TEXT NOT NULL, destination TEXT NOT NULL, recipient TEXT NOT NULL, state TEXT NOT NULL,
    reason TEXT NOT NULL, at INTEGER NOT NULL, handed INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY(key, destination)
) WITHOUT ROWID
""",
)
#: Recipient, destination, and why not to forward there (empty: forward).
Forward = tuple[str, str, str]
_DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


def add_forwards(db: sqlite3.Connection, rows: list[tuple[str, str, str, str, int]]) -> None:
    """Add what was named for mails (key, recipient, destination, reason, when); what is there stays."""
    db.executemany(
        "INSERT OR IGNORE INTO forwards(key, recipient, destination, reason, at, state)"
        " VALUES (?1, ?2, ?3, ?4, ?5, iif(?4 = '', 'due', 'failed'))",
        rows,
    )


class Ledger:
    """One SQLite file, used by one thread. What comes while a commit is written shares the next one.

    `remember_seconds` is how long an outcome is known; `errors` counts, by kind, what went wrong with the
    file; `clock` gives seconds since the epoch. Opened on first use and again after an error.
    """

    def __init__(
        self, path: Path, remember_seconds: int, errors: Counter, clock: Callable[[], float] = time.time
    ) -> None:
        self._path = path
        self._remember = remember_seconds
        self._errors = errors
        self._clock = clock
        self._db: sqlite3.Connection | None = None
        self._waiting: deque[tuple[tuple[str | int | None, ...], Sequence[Forward]]] = deque()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="ledger")
        self._pruned_at = float("-inf")

    async def find(self, key: str) -> Outcome | None:
        """The outcome of the message with this key; None if there is none, or the file cannot be read."""
        row = await self._in_thread(lambda: self._try(lambda db: self._select(db, key)))
        if row is None:
            return None
        verdict, queue_id, code, text = row
        return Outcome(Verdict.named(verdict), Reply(Stage.MESSAGE, code, text), queue_id, duplicate=True)

    async def record(self, key: str, outcome: Outcome, forwards: Sequence[Forward] = ()) -> None:
        """Write an outcome and where to forward: on disk afterwards, or a failure was logged and counted."""
        code, text = (outcome.reply.code, outcome.reply.text) if outcome.reply else (0, "")
        row = (key, outcome.verdict.label, outcome.queue_id, code, text, int(self._clock()))
        self._waiting.append((row, forwards))
        await self._in_thread(self._flush)

    async def use(self, work: Callable[[sqlite3.Connection], T]) -> T | None:
        """What work on the file returns; None if it failed, which was logged and counted."""
        return await self._in_thread(lambda: self._try(work))

    async def close(self) -> None:
        """Close the file, for good."""
        await self._in_thread(self._drop)
        self._thread.shutdown()

    async def _in_thread(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    def _select(self, db: sqlite3.Connection, key: str) -> tuple[str, str | None, int, str] | None:
        since = int(self._clock()) - self._remember
        found = "SELECT verdict, queue_id, code, text FROM outcomes WHERE key = ? AND at >= ?"
        row: tuple[str, str | None, int, str] | None = db.execute(found, (key, since)).fetchone()
        return row

    def _flush(self) -> None:
        rows = [self._waiting.popleft() for _ in range(len(self._waiting))]
        if rows:
            self._try(lambda db: self._insert(db, rows))

    def _insert(
        self, db: sqlite3.Connection, rows: list[tuple[tuple[str | int | None, ...], Sequence[Forward]]]
    ) -> None:
        now = self._clock()
        with db:
            if now - self._pruned_at >= PRUNE_EVERY_SECONDS:
                before = (int(now) - self._remember,)
                db.execute("DELETE FROM outcomes WHERE at < ?", before)
                db.execute("DELETE FROM forwards WHERE at < ?", before)
                self._pruned_at = now
            db.executemany("REPLACE INTO outcomes VALUES (?, ?, ?, ?, ?, ?)", [row for row, _ in rows])
            add_forwards(db, [(str(row[0]), *each, int(now)) for row, named in rows for each in named])

    def _try(self, work: Callable[[sqlite3.Connection], T]) -> T | None:
        """What the work returns, None if it failed; a damaged file is replaced by a new one first."""
        for _ in range(2):
            try:
                self._db = self._db or self._open()
                return work(self._db)
            except (sqlite3.Error, OSError) as error:
                self._drop()
                is_damaged = getattr(error, "sqlite_errorcode", 0) & 0xFF in _DAMAGED
                self._errors.labels("damaged" if is_damaged else "unusable").inc()
                log.error(
                    "ledger", extra={"fields": {"error": f"{self._path}: {error}", "damaged": is_damaged}}
                )
                if not is_damaged or not self._set_aside():
                    return None
        return None

    def _set_aside(self) -> bool:
        try:
            self._path.replace(self._path.with_suffix(".damaged"))
            for companion in ("-wal", "-shm"):
                Path(f"{self._path}{companion}").unlink(missing_ok=True)
        except OSError as error:
            log.error("ledger", extra={"fields": {"error": str(error)}})
            return False
        return True

    def _open(self) -> sqlite3.Connection:
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        db = sqlite3.connect(self._path, timeout=2, check_same_thread=False)
        try:
            db.execute("PRAGMA journal_mode = WAL")
            db.execute("PRAGMA synchronous = FULL")
            db.execute("PRAGMA trusted_schema = OFF")
            for table in _SCHEMA:
                db.execute(table)
        except BaseException:
            db.close()
            raise
        return db

    def _drop(self) -> None:
        if self._db is not None:
            self._db.close()
            self._db = None
