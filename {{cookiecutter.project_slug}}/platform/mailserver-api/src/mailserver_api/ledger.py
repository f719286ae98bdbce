"""Durable memory of outcomes, so that a retry is told them and nothing is delivered twice.

Remembered is every acceptance, and a refusal of the content that came after the caller was told to try again.
Not remembered is what happens if this process or postfix dies between the end of a message and the commit
of its row: nobody here knows then whether postfix has it. The retry is submitted again, under the same key
(delivery.py puts it on top of the message), by which the last hop recognizes it.

One replica has a file of its own, and mail does not stop when that fails: a damaged one is set aside, and all
else is logged and counted. Several share a database. There a message is claimed before it is submitted, so
that a repeat that reaches another replica waits; and while it is down, callers are told to try again, as
Postfix, which asks the same database for each recipient, would tell them anyway.
"""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, TypeVar

from prometheus_client import Counter

from mailserver_api.stores import SILENT_SECONDS, Store, Work
from mailserver_api.verdicts import Outcome, Reply, Stage, Verdict

log = logging.getLogger(__name__)
T = TypeVar("T")
PRUNE_EVERY_SECONDS = 3600
#: How often a word is sent, for what is claimed, and what waits is written once more.
BEAT_SECONDS = SILENT_SECONDS / 3
#: Recipient, destination, and why not to forward there (empty: forward).
Forward = tuple[str, str, str]
_FIND = "SELECT verdict, queue_id, code, text FROM outcomes WHERE `key` = ? AND at >= ?"
_ADD = (
    "INSERT {ignore} INTO forwards(`key`, recipient, destination, reason, at, state)"
    " VALUES (?, ?, ?, ?, ?, ?)"
)
_NOW_DUE = (
    "UPDATE forwards SET state = CASE WHEN reason = '' THEN 'due' ELSE 'failed' END, at = ?"
    " WHERE state = 'named' AND `key` IN (%s)"
)
_DUE = "SELECT `key`, destination FROM forwards WHERE state = 'due' AND `key` IN (%s)"


class Standing(Enum):
    """Who may submit a message whose outcome is not known: this process, not now, or nobody can say."""

    OURS = "ours"
    ELSEWHERE = "elsewhere"
    UNKNOWN = "unknown"


@dataclass
class _Record:
    """What waits for the next commit; `due` is where to forward the mail, None until it is on disk."""

    key: str
    row: tuple[object, ...]
    forwards: Sequence[Forward]
    is_accepted: bool
    due: list[str] | None = field(default=None)
    is_late: bool = False


def add_forwards(work: Work, key: str, rows: Sequence[Forward], at: int, state: str = "") -> None:
    """Add what was named for a mail; what is there stays. Without a `state`, its reason gives it."""
    work.change(_ADD, [(key, *row, at, state or ("failed" if row[2] else "due")) for row in rows])


class Ledger:
    """One connection, used by one thread. What comes while a commit is written shares the next one.

    `remember_seconds` is how long an outcome is known; `errors` counts, by kind, what went wrong with the
    store; `clock` gives seconds since the epoch. Opened on first use and again after an error.
    """

    def __init__(
        self, store: Store, remember_seconds: int, errors: Counter, clock: Callable[[], float] = time.time
    ) -> None:
        self._store = store
        self._remember = remember_seconds
        self._errors = errors
        self._clock = clock
        self._connection: Any = None
        self._is_lost = False
        self._waiting: deque[_Record] = deque()
        self._claims: set[str] = set()
        self._beat: asyncio.Task[None] | None = None
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="ledger")
        self._pruned_at = float("-inf")

    @property
    def is_shared(self) -> bool:
        """Whether other replicas see the same rows."""
        return self._store.is_shared

    async def find(self, key: str) -> Outcome | None:
        """The outcome of the message with this key; None if there is none, or the store cannot be read."""
        return await self.use(lambda work: self._find(work, key))

    async def begin(self, key: str) -> Outcome | Standing:
        """The outcome if it is known; else who may submit the message: if OURS, call `end` afterwards."""
        if not self.is_shared:
            return await self.find(key) or Standing.OURS
        self._keep_beating()
        return await self._in_thread(lambda: self._begin(key)) or Standing.UNKNOWN

    async def end(self, key: str) -> None:
        """Let others have the message, if it is claimed."""
        if self.is_shared:
            await self._in_thread(lambda: self._end(key))

    async def record(self, key: str, outcome: Outcome, forwards: Sequence[Forward] = ()) -> list[str] | None:
        """Write an outcome and where to forward: on disk afterwards, or None, which was logged and counted.

        What replicas share is tried again until it is written. Returned is where others named to forward.
        """
        code, text = (outcome.reply.code, outcome.reply.text) if outcome.reply else (0, "")
        row = (key, outcome.verdict.label, outcome.queue_id, code, text, int(self._clock()))
        record = _Record(key, row, forwards, outcome.verdict is Verdict.ACCEPTED)
        self._waiting.append(record)
        await self._in_thread(self._flush)
        if record.due is None:
            self._keep_beating()
        return record.due

    async def use(self, work: Callable[[Work], T]) -> T | None:
        """What work on the store returns; None if it failed, which was logged and counted."""
        return await self._in_thread(lambda: self._try(work))

    async def close(self) -> None:
        """Close the store, for good."""
        if self._beat is not None:
            self._beat.cancel()
        await self._in_thread(self._flush)
        await self._in_thread(self._drop)
        self._thread.shutdown()

    async def _in_thread(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    def _keep_beating(self) -> None:
        if self.is_shared and (self._beat is None or self._beat.done()):
            self._beat = asyncio.create_task(self._beats())

    async def _beats(self) -> None:
        while True:
            await asyncio.sleep(BEAT_SECONDS)
            await self.use(lambda work: work.rows("SELECT 1"))
            await self._in_thread(self._flush)

    def _find(self, work: Work, key: str) -> Outcome | None:
        rows = work.rows(_FIND, key, int(self._clock()) - self._remember)
        if not rows:
            return None
        verdict, queue_id, code, text = rows[0]
        return Outcome(Verdict.named(verdict), Reply(Stage.MESSAGE, code, text), queue_id, duplicate=True)

    def _begin(self, key: str) -> Outcome | Standing | None:
        self._flush()
        if any(record.key == key for record in self._waiting):
            return None  # Postfix has it, and this cannot be written: it must not be submitted again
        return self._try(lambda work: self._claim(work, key))

    def _claim(self, work: Work, key: str) -> Outcome | Standing:
        """A lock of the session: it ends with this process at the latest, and costs no write."""
        if not work.rows("SELECT GET_LOCK(?, 0)", key)[0][0]:
            return Standing.ELSEWHERE
        # Only now: whoever had it before has written its outcome.
        if known := self._find(work, key):
            work.rows("SELECT RELEASE_LOCK(?)", key)
            return known
        self._claims.add(key)
        return Standing.OURS

    def _end(self, key: str) -> None:
        """What waits to be written stays claimed: another replica would find nothing and submit it again."""
        if key in self._claims and all(record.key != key for record in self._waiting):
            self._claims.remove(key)
            self._try(lambda work: work.rows("SELECT RELEASE_LOCK(?)", key))

    def _flush(self) -> None:
        records = [self._waiting.popleft() for _ in range(len(self._waiting))]
        if not records:
            return
        due = self._try(lambda work: self._insert(work, records))
        if due is None and self._is_lost and self.is_shared:
            self._waiting.extendleft(reversed(records))
        for record in records:
            record.is_late, was_late = due is None, record.is_late
            if due is not None:
                record.due = [destination for key, destination in due if key == record.key]
                if was_late:
                    self._end(record.key)

    def _insert(self, work: Work, records: list[_Record]) -> list[tuple[str, str]]:
        """Write them; the key and destination of what others named for them and is due."""
        now = self._clock()
        with work.transaction():
            if now - self._pruned_at >= PRUNE_EVERY_SECONDS:
                for table in ("outcomes", "forwards"):
                    work.rows(f"DELETE FROM {table} WHERE at < ?", int(now) - self._remember)  # noqa: S608
                self._pruned_at = now
            work.change("REPLACE INTO outcomes VALUES (?, ?, ?, ?, ?, ?)", [each.row for each in records])
            for record in records:
                add_forwards(work, record.key, record.forwards, int(now))
            keys = [record.key for record in records if record.is_accepted]
            if not keys or not self.is_shared:
                return []
            values = ", ".join("?" for _ in keys)
            work.rows(_NOW_DUE % values, int(now), *keys)
            return work.rows(_DUE % values, *keys)

    def _try(self, work: Callable[[Work], T]) -> T | None:
        """What the work returns, None if it failed; a damaged file is replaced, a lost connection renewed."""
        for attempt in range(2):
            is_new = self._connection is None
            try:
                return work(Work(self._store, self._connection or self._open()))
            except self._store.errors as error:
                self._drop()
                self._is_lost = isinstance(error, self._store.lost)
                is_damaged = self._store.is_damaged(error)
                # An old connection may have been closed while nobody used it.
                if not is_damaged and not is_new and self.is_shared and attempt == 0:
                    continue
                self._count(error, is_damaged)
                if not is_damaged or not self._set_aside():
                    return None
        return None

    def _count(self, error: Exception, is_damaged: bool) -> None:
        self._errors.labels("damaged" if is_damaged else "unusable").inc()
        fields = {"error": f"{self._store.name}: {error}", "damaged": is_damaged}
        log.error("ledger", extra={"fields": fields})

    def _set_aside(self) -> bool:
        try:
            self._store.set_aside()
        except OSError as error:
            log.error("ledger", extra={"fields": {"error": str(error)}})
            return False
        return True

    def _open(self) -> Any:
        self._connection = self._store.open()
        work = Work(self._store, self._connection)
        for key in self._claims:  # they ended with the connection before
            work.rows("SELECT GET_LOCK(?, 0)", key)
        return self._connection

    def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(*self._store.errors):
                connection.close()
