"""To whom outside the Worker forwards a mail that was taken, and what became of it.

The filter names the addresses while it judges a mail (config/rspamd/lua.local.d/forwards.lua); they are on
disk with the mail's acceptance, in one transaction. The Worker forwards to each and reports each by itself.
What was not reported is handed out again when the mail comes again, a lease later at the earliest. So a mail
is forwarded twice in one case only: the Worker or this service dies, or they lose each other, after
Cloudflare took the forwarded mail and before the report of that is on disk here. The original is in the
mailbox anyway.
"""

import asyncio
import logging
import socket
import sqlite3
import time
from collections.abc import Sequence
from typing import Annotated, Any

from pydantic import BaseModel, Field

from mailserver_api.ledger import Forward, Ledger, add_forwards
from mailserver_api.metrics import Metrics
from mailserver_api.problems import CLOSE, Problem
from mailserver_api.verdicts import Verdict

log = logging.getLogger(__name__)
MAX_BYTES = 64 * 1024
#: What was not reported by then was perhaps not forwarded: nobody may come again.
UNCONFIRMED_SECONDS = 600
SHOWN_SECONDS, MOST_SHOWN = 14 * 24 * 3600, 200
#: Reasons that are no fault of a destination. Whatever else a reason says are Cloudflare's words.
SPOOL, OWN, LOOP, UNCONFIRMED = "spool", "own", "loop", "unconfirmed"

_Address = Annotated[str, Field(pattern=r"^[!-~]{1,254}@[!-~]{1,253}$", max_length=320)]
_Key = Annotated[str, Field(pattern=r"^[0-9A-Za-z]{8,64}$")]


class Named(BaseModel):
    """What the filter says of a mail; with a `reason`, it is not to be forwarded."""

    key: _Key
    recipient: _Address
    destinations: Annotated[list[_Address], Field(min_length=1, max_length=500)]
    reason: Annotated[str, Field(pattern="^(own|loop)?$")] = ""

    def rows(self) -> list[Forward]:
        """Recipient, destination and reason of each."""
        return [(self.recipient, each, self.reason) for each in self.destinations]


class Report(BaseModel):
    """What became of one forward; an empty `reason`: Cloudflare took it."""

    key: _Key
    destination: _Address
    reason: Annotated[str, Field(max_length=300)]


class Forwards:
    """The rows of what was accepted, in the ledger's file. A hand-out counts for `lease` seconds."""

    def __init__(self, ledger: Ledger, metrics: Metrics, filter_host: str, lease: int) -> None:
        self._ledger = ledger
        self._metrics = metrics
        self._filter_host = filter_host
        self._lease = lease

    async def require_filter(self, address: str | None) -> None:
        """Raises Problem unless the caller is the filter, at its own address."""
        try:
            loop = asyncio.get_running_loop()
            found = await loop.getaddrinfo(self._filter_host or None, 0, type=socket.SOCK_STREAM)
        except OSError:
            found = []
        if not self._filter_host or address not in {entry[4][0] for entry in found}:
            raise Problem(Verdict.UNAUTHORIZED, "Only the filter may name addresses.", headers=CLOSE)

    async def keep_own(self, named: Named) -> None:
        """Remember what never passes the Worker: mail of people of this server."""
        await self._ledger.use(lambda db: _insert(db, named.key, named.rows()))

    async def hand_out(self, key: str, can_forward: bool, named: Sequence[str]) -> list[str]:
        """The addresses of an accepted mail that nobody has reported; `named` ones if the file is unusable.

        For a caller that cannot forward there are none, and they are remembered as such. Raises Problem:
        temporary, while another one may be at work.
        """
        handed = await self._ledger.use(lambda db: _hand_out(db, key, can_forward, self._lease))
        busy, found = handed or (False, [*named])
        if busy and can_forward:
            raise Problem(Verdict.TEMPORARY, "Another call forwards this mail; send it again in a minute.")
        for each in [] if can_forward else found:
            self._tell(key, each, SPOOL)
        return found if can_forward else []

    async def report(self, report: Report) -> None:
        """Keep a Worker's report. Raises Problem: temporary, when it cannot be written."""
        said = " ".join(report.reason.split())
        done = await self._ledger.use(lambda db: _settle(db, report.key, report.destination, said))
        if done is None:
            raise Problem(Verdict.TEMPORARY, "The report cannot be written; see the log.")
        self._tell(report.key, report.destination, said)

    async def failed(self) -> list[dict[str, Any]]:
        """What was not forwarded lately, by recipient, destination and reason; the newest first."""
        return await self._ledger.use(_failed) or []

    def _tell(self, key: str, destination: str, reason: str) -> None:
        self._metrics.forwards.labels("failed" if reason else "done").inc()
        write = log.warning if reason else log.info
        write("forward", extra={"fields": {"key": key, "to": destination, "failed": reason or None}})


def _insert(db: sqlite3.Connection, key: str, rows: Sequence[Forward]) -> bool:
    now = int(time.time())
    with db:
        add_forwards(db, [(key, *row, now) for row in rows])
    return True


def _hand_out(db: sqlite3.Connection, key: str, can_forward: bool, lease: int) -> tuple[bool, list[str]]:
    """Whether somebody else is at work, and what is handed out."""
    now = int(time.time())
    query = (
        "SELECT destination, handed FROM forwards"
        " WHERE key = ? AND (state = 'due' OR (state = 'failed' AND reason = 'spool'))"
    )
    with db:
        rows = db.execute(query, (key,)).fetchall()
        if any(handed > now - lease for _, handed in rows):
            return True, []
        found = [destination for destination, _ in rows]
        state = ("due", "", now) if can_forward else ("failed", SPOOL, 0)
        db.executemany(
            "UPDATE forwards SET state = ?, reason = ?, handed = ? WHERE key = ? AND destination = ?",
            [(*state, key, each) for each in found],
        )
    return False, found


def _settle(db: sqlite3.Connection, key: str, destination: str, reason: str) -> bool:
    state = "failed" if reason else "done"
    with db:
        # A forward that arrived stays one, whatever a later report says.
        db.execute(
            "UPDATE forwards SET state = ?, reason = ? WHERE key = ? AND destination = ? AND state <> 'done'",
            (state, reason, key, destination),
        )
    return True


def _failed(db: sqlite3.Connection) -> list[dict[str, Any]]:
    now = int(time.time())
    rows = db.execute(
        "SELECT recipient, destination, iif(state = 'due', ?1, reason) AS why, count(*), max(at)"
        " FROM forwards WHERE at >= ?2 AND (state = 'failed' OR (state = 'due' AND max(at, handed) < ?3))"
        " GROUP BY recipient, destination, why ORDER BY max(at) DESC LIMIT ?4",
        (UNCONFIRMED, now - SHOWN_SECONDS, now - UNCONFIRMED_SECONDS, MOST_SHOWN),
    )
    names = ("recipient", "destination", "reason", "count", "at")
    return [dict(zip(names, row, strict=True)) for row in rows]
