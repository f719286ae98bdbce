"""Whether a message could be delivered right now."""

import asyncio
import shutil
import time

from mailserver_api.addresses import Envelope
from mailserver_api.delivery import Delivery
from mailserver_api.settings import Settings
from mailserver_api.smtp import Pool, Server
from mailserver_api.spool import Spool
from mailserver_api.tokens import Tokens
from mailserver_api.verdicts import Verdict


class Readiness:
    """Asks postfix on a new session of its own, the tokens and the spool, and what became of the newest mail.

    Postfix is asked whether it would take a mail for `ready_recipient`: for that it needs the database, the
    filter and, if the address exists, Dovecot. Whether the filter has its scanner shows in real mail only.
    An answer is good for `ready_cache_seconds`; callers at the same moment share one check.
    """

    def __init__(
        self, settings: Settings, server: Server, tokens: Tokens, spool: Spool, delivery: Delivery
    ) -> None:
        self._settings = settings
        self._server = server
        self._tokens = tokens
        self._spool = spool
        self._delivery = delivery
        self._lock = asyncio.Lock()
        self._reasons: list[str] = []
        self._checked_at = float("-inf")

    async def reasons(self) -> list[str]:
        """Why no message can be delivered now; empty: ready."""
        async with self._lock:
            if time.monotonic() - self._checked_at >= self._settings.ready_cache_seconds:
                found = await asyncio.gather(self._check_smtp(), asyncio.to_thread(self._check_disk))
                reasons = (self._tokens.problem(), *found, self._delivery.trouble())
                self._reasons = [reason for reason in reasons if reason]
                self._checked_at = time.monotonic()
            return self._reasons

    async def _check_smtp(self) -> str | None:
        pool = Pool(self._server)
        envelope = Envelope("", self._settings.ready_recipient or "postmaster@localhost.invalid")
        outcome = await pool.ask(envelope, None, self._settings.ready_timeout)
        await pool.close()
        # That the address does not exist is an answer as good as any other.
        if outcome.verdict in (Verdict.ACCEPTED, Verdict.UNKNOWN_RECIPIENT):
            return None
        return f"smtp {self._server.host}:{self._server.port}: {outcome.reply}"

    def _check_disk(self) -> str | None:
        folder = self._settings.spool_dir
        try:
            with self._spool.open(memory_bytes=1) as file:
                file.write(b"ready?")
            free = shutil.disk_usage(folder).free
        except OSError as error:
            return f"spool {folder}: {error.strerror}"
        if free < self._settings.max_message_bytes:
            return f"spool {folder}: only {free} bytes free"
        return None
