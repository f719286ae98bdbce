"""From a spooled message to a verdict: recognizes repeats, submits, remembers.

Order of one submission: claim in the ledger (proves it can be written), SMTP conversation, then the claim
becomes a memory or is dropped. It runs in a worker thread to its end even if the caller has gone, so an
acceptance that came too late for the answer is still remembered for the retry. What can go wrong between
postfix's 250 and the commit is described in ledger.py.
"""

import asyncio
import logging
import time
from concurrent.futures import ThreadPoolExecutor

from mailserver_api.addresses import Envelope
from mailserver_api.ledger import Ledger, LedgerError
from mailserver_api.metrics import Metrics
from mailserver_api.smtp import Server, submit
from mailserver_api.spool import Message
from mailserver_api.verdicts import Outcome, Reply, Stage, Verdict

log = logging.getLogger(__name__)
# The conversation ends itself at the deadline; this is what the thread may need to say so.
GRACE_SECONDS = 0.5


class Delivery:
    """Submits messages, each key once at a time. Use it from one event loop."""

    def __init__(self, server: Server, ledger: Ledger, metrics: Metrics, workers: int) -> None:
        self._server = server
        self._ledger = ledger
        self._metrics = metrics
        self._executor = ThreadPoolExecutor(workers, thread_name_prefix="smtp")
        self._running: dict[str, asyncio.Future[Outcome]] = {}

    async def deliver(self, envelope: Envelope, message: Message, deadline: float) -> Outcome:
        """Outcome by `deadline` (time.monotonic() value), TEMPORARY if there is none by then.

        Takes the message over and closes it. A call equal to a running one shares its outcome.
        """
        running = self._running.get(message.key)
        if running is None:
            running = self._start(envelope, message, deadline)
            return await self._wait(running, deadline, message.key)
        message.file.close()
        outcome = await self._wait(running, deadline, message.key)
        is_repeat = outcome.verdict is Verdict.ACCEPTED
        return Outcome(outcome.verdict, outcome.reply, outcome.queue_id, duplicate=is_repeat)

    async def close(self) -> None:
        """Wait for the submissions that still run (each ends at its own deadline), then free the threads."""
        await asyncio.gather(*self._running.values(), return_exceptions=True)
        self._executor.shutdown()

    def _start(self, envelope: Envelope, message: Message, deadline: float) -> asyncio.Future[Outcome]:
        loop = asyncio.get_running_loop()
        future = loop.run_in_executor(self._executor, self._run, envelope, message, deadline)
        self._running[message.key] = future
        future.add_done_callback(lambda _: self._running.pop(message.key))
        return future

    async def _wait(self, running: asyncio.Future[Outcome], deadline: float, key: str) -> Outcome:
        seconds = max(0.0, deadline - time.monotonic()) + GRACE_SECONDS
        done, _ = await asyncio.wait({running}, timeout=seconds)
        if done:
            return running.result()
        log.warning("no outcome in time", extra={"fields": {"key": key}})
        return Outcome(Verdict.TEMPORARY, Reply(Stage.MESSAGE, 0, "no outcome in time"))

    def _run(self, envelope: Envelope, message: Message, deadline: float) -> Outcome:
        with message.file:
            try:
                accepted, queue_id = self._ledger.claim(message.key)
            except LedgerError as error:
                log.error("ledger", extra={"fields": {"error": str(error)}})
                return Outcome(Verdict.TEMPORARY, Reply(Stage.CONNECT, 0, "the ledger cannot be written"))
            if accepted:
                return Outcome(Verdict.ACCEPTED, None, queue_id, duplicate=True)
            with self._metrics.submit_seconds.time():
                outcome = submit(self._server, envelope, message, deadline)
            self._remember(message.key, outcome)
            return outcome

    def _remember(self, key: str, outcome: Outcome) -> None:
        try:
            if outcome.verdict is Verdict.ACCEPTED:
                self._ledger.accept(key, outcome.queue_id)
            else:
                self._ledger.release(key)
        except LedgerError as error:
            # The verdict stands: the message is in postfix's queue, or it is not.
            fields = {"error": str(error), "key": key, "queue_id": outcome.queue_id}
            log.error("ledger", extra={"fields": fields})
