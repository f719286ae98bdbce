"""From a spooled message to a verdict: recognizes repeats, waits for a slot, submits, remembers.

The conversation with postfix outlives the HTTP call (RFC 1047: who gives up between the end of a message and
its answer cannot know whether it was taken). It runs to its own end; a retry joins it while it runs, or is
told its outcome from the ledger afterwards. Of several replicas the first to claim a message submits it.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace

from mailserver_api.addresses import Envelope
from mailserver_api.forwards import Named
from mailserver_api.ledger import Ledger, Standing
from mailserver_api.metrics import Metrics
from mailserver_api.smtp import Pool, Server
from mailserver_api.spool import Message
from mailserver_api.verdicts import PERMANENT, Outcome, Reply, Stage, Verdict

log = logging.getLogger(__name__)
#: What else is done with a mail whose outcome is known, while its bytes are there; it may raise Problem.
After = Callable[[Envelope, Message, Outcome], Awaitable[Outcome]]
#: Stands on top of every message that postfix gets; the last hop recognizes a message that comes twice by it.
KEY_HEADER = "X-Mailserver-Delivery"
# What the end of the wait for a slot may need to say so.
GRACE_SECONDS = 0.5
# How often it is asked whether another replica has ended.
ELSEWHERE_SECONDS = 0.25
# How long a message that the filter deferred speaks against being ready.
TROUBLE_SECONDS = 60.0


class Delivery:
    """Submits messages, `slots` at once and each key once at a time. Use it from one event loop.

    A conversation may take `submit_seconds`, once it has a slot.
    """

    def __init__(
        self, server: Server, ledger: Ledger, metrics: Metrics, slots: int, submit_seconds: float
    ) -> None:
        self._pool = Pool(server)
        self._ledger = ledger
        self._metrics = metrics
        self._slots = asyncio.Semaphore(slots)  # first come, first served
        self._seconds = submit_seconds
        self._running: dict[str, asyncio.Task[Outcome]] = {}
        self._named: dict[str, Named] = {}
        self._trouble: tuple[float, str] | None = None
        #: The recipient of the newest message that postfix took; empty if there is none.
        self.known_recipient = ""

    async def deliver(
        self, envelope: Envelope, message: Message, deadline: float, after: After | None = None
    ) -> Outcome:
        """Outcome by `deadline` (time.monotonic() value): BUSY without a slot, TEMPORARY without an answer.

        Takes the message over and closes it. A call equal to a running one shares its outcome, whatever that
        one does `after` it.
        """
        running = self._running.get(message.key)
        is_repeat = running is not None
        if running is None:
            running = asyncio.create_task(self._run(envelope, message, deadline, after))
            self._running[message.key] = running
            running.add_done_callback(lambda _: self._forget(message.key))
        else:
            message.file.close()
        await asyncio.wait({running}, timeout=_until(deadline) + GRACE_SECONDS)
        if running.done():
            outcome = running.result()
            return replace(outcome, duplicate=True) if is_repeat else outcome
        log.warning("no outcome in time", extra={"fields": {"key": message.key}})
        return _later("no outcome yet; a retry will be told it")

    def name(self, named: Named) -> bool:
        """Take what the filter says of a mail while it judges it; False: no such mail runs."""
        if named.key in self._running:
            self._named[named.key] = named
        return named.key in self._running

    async def refusal(self, envelope: Envelope, size: int | None) -> Outcome | None:
        """Why postfix will never take a message with this envelope; None if it may."""
        async with self._slots:
            outcome = await self._pool.ask(envelope, size, self._seconds)
        return outcome if outcome.verdict in PERMANENT else None

    def trouble(self) -> str | None:
        """Why the newest message that came as far as the filter was deferred, None if it was not."""
        at, text = self._trouble or (float("-inf"), "")
        return text if time.monotonic() - at < TROUBLE_SECONDS else None

    async def close(self, seconds: float) -> None:
        """Wait for the conversations that still run, but not longer than that; then hang up."""
        if self._running:
            await asyncio.wait(self._running.values(), timeout=seconds)
        await self._pool.close()

    def _forget(self, key: str) -> None:
        self._running.pop(key)
        self._named.pop(key, None)

    async def _run(
        self, envelope: Envelope, message: Message, deadline: float, after: After | None
    ) -> Outcome:
        with message.file:
            outcome = await self._outcome(envelope, message, deadline)
            return await after(envelope, message, outcome) if after else outcome

    async def _outcome(self, envelope: Envelope, message: Message, deadline: float) -> Outcome:
        if known := await self._begin(message.key, deadline):
            return known
        try:
            return await self._turn(envelope, message, deadline)
        finally:
            await self._ledger.end(message.key)

    async def _begin(self, key: str, deadline: float) -> Outcome | None:
        """None once the message is this process's to submit; else what is known of it."""
        while (standing := await self._ledger.begin(key)) is Standing.ELSEWHERE:
            if time.monotonic() > deadline:
                return _later("another replica submits it; a retry will be told the outcome")
            await asyncio.sleep(ELSEWHERE_SECONDS)
        if standing is Standing.UNKNOWN:
            return _later("nobody can say now whether it was taken before; see the log")
        return standing if isinstance(standing, Outcome) else None

    async def _turn(self, envelope: Envelope, message: Message, deadline: float) -> Outcome:
        try:
            async with asyncio.timeout(_until(deadline)):
                await self._slots.acquire()
        except TimeoutError:
            return Outcome(Verdict.BUSY)
        try:
            outcome = await self._submit(envelope, message)
        finally:
            self._slots.release()
        is_late_refusal = outcome.verdict in PERMANENT and time.monotonic() > deadline
        if outcome.verdict is Verdict.ACCEPTED or (is_late_refusal and outcome.stage is Stage.MESSAGE):
            return await self._remember(message.key, outcome)
        return outcome

    async def _remember(self, key: str, outcome: Outcome) -> Outcome:
        named = self._named.get(key) if outcome.verdict is Verdict.ACCEPTED else None
        due = await self._ledger.record(key, outcome, named.rows() if named else ())
        if due is None and self._ledger.is_shared and outcome.verdict is Verdict.ACCEPTED:
            # Postfix has it. But nobody knows yet where others named to forward it.
            return _later("it was taken, which is not written down yet; a retry will be told")
        here = named.destinations if named and not named.reason else []
        return replace(outcome, forwards=tuple(dict.fromkeys([*here, *(due or [])])))

    async def _submit(self, envelope: Envelope, message: Message) -> Outcome:
        head = f"{KEY_HEADER}: {message.key}\r\n".encode()
        with self._metrics.submit_seconds.time():
            outcome = await self._pool.submit(envelope, head, message, self._seconds)
        if outcome.stage is Stage.MESSAGE:
            is_deferred = outcome.verdict is Verdict.TEMPORARY
            self._trouble = (time.monotonic(), f"postfix: {outcome.reply}") if is_deferred else None
        if outcome.verdict is Verdict.ACCEPTED:
            self.known_recipient = envelope.recipient
        return outcome


def _later(text: str) -> Outcome:
    return Outcome(Verdict.TEMPORARY, Reply(Stage.MESSAGE, 0, text))


def _until(deadline: float) -> float:
    return max(0.0, deadline - time.monotonic())
