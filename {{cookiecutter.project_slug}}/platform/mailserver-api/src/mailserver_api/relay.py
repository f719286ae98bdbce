"""Forwards by the relay what the Email Worker cannot: mail of our own people, and mail out of its spool.

Where the relay takes mail whose From is not ours, a listener of Postfix takes such copies, of this
service alone. Their sender is the address here that forwards. So SPF passes, and what fails later comes to
whoever chose to forward: no sender has to be rewritten and understood again. What Postfix refuses at once is
remembered as failed. It is not tried again, as the mail itself is in its mailbox.
"""

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import replace

from mailserver_api.addresses import Envelope
from mailserver_api.forwards import Forwards, Named, Report
from mailserver_api.problems import Problem
from mailserver_api.smtp import Pool, Server
from mailserver_api.spool import Message
from mailserver_api.verdicts import Outcome, Verdict

log = logging.getLogger(__name__)
#: By this the filter knows a mail that comes back; the Worker's copies carry it as well.
FORWARDED = "X-Mailserver-Forwarded"
#: So many mails of our own people are forwarded at once, each by one connection.
SIDE_BY_SIDE = 4


class Relay:
    """Hands copies to Postfix's listener, each within `seconds`. Use it from one event loop."""

    def __init__(self, server: Server, forwards: Forwards, seconds: float) -> None:
        self._pool = Pool(server)
        self._forwards = forwards
        self._seconds = seconds
        self._places = asyncio.Semaphore(SIDE_BY_SIDE)
        self._running: set[asyncio.Task[None]] = set()

    async def of_spool(self, envelope: Envelope, message: Message, outcome: Outcome) -> Outcome:
        """Forward an accepted mail of a caller that cannot; its outcome, without what is done.

        Left is a mail with the null sender: the report on a copy that failed would be forwarded, and fail.
        Raises Problem: temporary, while another call forwards it.
        """
        is_due = outcome.forwards or outcome.duplicate
        if outcome.verdict is not Verdict.ACCEPTED or not is_due or not envelope.sender:
            return outcome
        found = await self._forwards.hand_out(message.key, True, outcome.forwards)
        await self._copy(message.key, envelope.recipient, found, message)
        return replace(outcome, forwards=())

    async def of_our_people(self, named: Named, message: Message) -> None:
        """Take a mail over, which the filter lets pass; on disk is where to, once this returns."""
        await self._forwards.keep_own(named)
        task = asyncio.create_task(self._own(named, message))
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def close(self, seconds: float) -> None:
        """Wait for what is being forwarded, but not longer than that; then hang up."""
        if self._running:
            await asyncio.wait(self._running, timeout=seconds)
        await self._pool.close()

    async def _own(self, named: Named, message: Message) -> None:
        with message.file:
            async with self._places:
                await self._copy(named.key, named.recipient, named.destinations, message)

    async def _copy(self, key: str, recipient: str, destinations: Sequence[str], message: Message) -> None:
        head = f"{FORWARDED}: {recipient}\r\n".encode()
        for each in destinations:
            envelope = Envelope(_bare(recipient), each)
            outcome = await self._pool.submit(envelope, head, message, self._seconds)
            said = "" if outcome.verdict is Verdict.ACCEPTED else str(outcome.reply)
            try:
                await self._forwards.report(Report(key=key, destination=each, reason=said[:300]))
            except Problem as problem:
                # The copy is in the queue: whoever tried again for this note would send another one.
                log.error("forward", extra={"fields": {"key": key, "to": each, "error": problem.detail}})


def _bare(address: str) -> str:
    """The address without its +tag, as accounts and aliases are listed."""
    local, _, domain = address.lower().rpartition("@")
    return f"{local.partition('+')[0] or local}@{domain}"
