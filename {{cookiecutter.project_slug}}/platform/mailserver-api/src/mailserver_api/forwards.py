"""To whom outside the Worker forwards a mail that was taken, and what became of it.

The filter names the addresses while it judges a mail (config/rspamd/lua.local.d/forwards.lua); they are on
disk with the mail's acceptance, in one transaction. The Worker forwards to each and reports each by itself.
What was not reported is handed out again when the mail comes again, a lease later at the earliest. So a mail
is forwarded twice in one case only: the Worker or this service dies, or they lose each other, after
Cloudflare took the forwarded mail and before the report of that is on disk here. The original is in the
mailbox anyway.

The filter may reach another replica than the one that submits the mail. That one writes the addresses down as
`named`; they are due once the mail is accepted (ledger.py).
"""

import asyncio
import logging
import socket
import time
from collections.abc import Sequence
from typing import Annotated, Any

from pydantic import BaseModel, Field

from mailserver_api.ledger import Forward, Ledger, add_forwards
from mailserver_api.metrics import Metrics
from mailserver_api.problems import CLOSE, Problem
from mailserver_api.stores import Work
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
    """The rows of what was accepted, in the ledger's store. A hand-out counts for `lease` seconds."""

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
        await self._ledger.use(lambda work: add_forwards(work, named.key, named.rows(), int(time.time())))

    async def name_elsewhere(self, named: Named) -> bool:
        """Write down what the filter says of a mail that another replica may submit; False: there is none.

        Raises Problem: temporary, when it cannot be written.
        """
        if not self._ledger.is_shared:
            return False
        if not await self._ledger.use(lambda work: _name(work, named)):
            raise Problem(Verdict.TEMPORARY, "The addresses cannot be written; see the log.")
        return True

    async def hand_out(self, key: str, can_forward: bool, named: Sequence[str]) -> list[str]:
        """The addresses of an accepted mail that nobody has reported; `named` ones if the file is unusable.

        For a caller that cannot forward there are none, and they are remembered as such. Raises Problem:
        temporary, while another one may be at work.
        """
        handed = await self._ledger.use(lambda work: _hand_out(work, key, can_forward, self._lease))
        busy, found = handed or (False, [*named])
        if busy and can_forward:
            raise Problem(Verdict.TEMPORARY, "Another call forwards this mail; send it again in a minute.")
        for each in [] if can_forward else found:
            self._tell(key, each, SPOOL)
        return found if can_forward else []

    async def report(self, report: Report) -> None:
        """Keep a Worker's report. Raises Problem: temporary, when it cannot be written."""
        said = " ".join(report.reason.split())
        done = await self._ledger.use(lambda work: _settle(work, report.key, report.destination, said))
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


def _name(work: Work, named: Named) -> bool:
    """What was named before for the same key is of an attempt that ended without an acceptance."""
    with work.transaction():
        work.rows("DELETE FROM forwards WHERE `key` = ? AND state = 'named'", named.key)
        add_forwards(work, named.key, named.rows(), int(time.time()), "named")
    return True


def _hand_out(work: Work, key: str, can_forward: bool, lease: int) -> tuple[bool, list[str]]:
    """Whether somebody else is at work, and what is handed out."""
    now = int(time.time())
    query = (
        "SELECT destination, handed FROM forwards"
        " WHERE `key` = ? AND (state = 'due' OR (state = 'failed' AND reason = 'spool')){lock}"
    )
    with work.transaction():
        rows = work.rows(query, key)
        if any(handed > now - lease for _, handed in rows):
            return True, []
        found = [destination for destination, _ in rows]
        state = ("due", "", now) if can_forward else ("failed", SPOOL, 0)
        work.change(
            "UPDATE forwards SET state = ?, reason = ?, handed = ? WHERE `key` = ? AND destination = ?",
            [(*state, key, each) for each in found],
        )
    return False, found


def _settle(work: Work, key: str, destination: str, reason: str) -> bool:
    state = "failed" if reason else "done"
    # A forward that arrived stays one, whatever a later report says.
    work.rows(
        "UPDATE forwards SET state = ?, reason = ? WHERE `key` = ? AND destination = ? AND state <> 'done'",
        state,
        reason,
        key,
        destination,
    )
    return True


def _failed(work: Work) -> list[dict[str, Any]]:
    now = int(time.time())
    rows = work.rows(
        "SELECT recipient, destination, CASE WHEN state = 'due' THEN ? ELSE reason END AS why,"
        " count(*), max(at) FROM forwards WHERE at >= ? AND (state = 'failed'"
        " OR (state = 'due' AND at < ? AND handed < ?))"
        " GROUP BY recipient, destination, why ORDER BY max(at) DESC LIMIT ?",
        UNCONFIRMED,
        now - SHOWN_SECONDS,
        now - UNCONFIRMED_SECONDS,
        now - UNCONFIRMED_SECONDS,
        MOST_SHOWN,
    )
    names = ("recipient", "destination", "reason", "count", "at")
    return [dict(zip(names, row, strict=True)) for row in rows]
