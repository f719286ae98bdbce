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
from mailserver_api.verdicts import PERMANENT, Verdict

MESSAGE = b"Subject: ready?\r\n\r\nAre you ready?\r\n"
#: Asks the filter for the virus scanner's verdict on a message of ours, without its result in the log.
PROBE = (
    b"POST /checkv2 HTTP/1.0\r\nLog: no\r\n"
    b'Settings: {"symbols_enabled": ["CLAM_VIRUS"]}\r\n'
    b"Content-Length: %d\r\n\r\n%s"
) % (len(MESSAGE), MESSAGE)
#: What the filter says (rspamd.local.lua) about a message that the scanner has given no verdict on.
UNSCANNED = b"VIRUS_SCAN_MISSING"


class Readiness:
    """Asks postfix on a new session of its own, the filter, the tokens, the spool, the newest mail.

    Postfix is asked whether it would take a mail for the recipient of the newest one that it took. It needs
    the database, the filter and Dovecot. Before there is one, it is asked about the sender alone: an
    address that may not exist would be a refusal in its log at every question.
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
                checks = self._check_smtp(), self._check_filter(), asyncio.to_thread(self._check_disk)
                found = await asyncio.gather(*checks)
                reasons = (self._tokens.problem(), *found, self._delivery.trouble())
                self._reasons = [reason for reason in reasons if reason]
                self._checked_at = time.monotonic()
            return self._reasons

    async def _check_smtp(self) -> str | None:
        pool = Pool(self._server)
        envelope = Envelope("", self._delivery.known_recipient)
        outcome = await pool.ask(envelope, None, self._settings.ready_timeout)
        await pool.close()
        if envelope.recipient and outcome.verdict in PERMANENT:
            # Its mailbox is gone or full by now: an answer like any other, which need not be heard again.
            self._delivery.known_recipient = ""
            return None
        if outcome.verdict is Verdict.ACCEPTED:
            return None
        return f"smtp {self._server.host}:{self._server.port}: {outcome.reply}"

    async def _check_filter(self) -> str | None:
        host, port = self._settings.filter_host, self._settings.filter_port
        if not host:
            return None
        try:
            async with asyncio.timeout(self._settings.ready_timeout):
                reader, writer = await asyncio.open_connection(host, port)
                writer.write(PROBE)
                answer = await reader.read()
                writer.close()
        except (OSError, TimeoutError) as error:
            return f"filter {host}:{port}: {str(error) or 'no answer in time'}"
        if UNSCANNED in answer or b'"action"' not in answer:
            return f"filter {host}:{port}: the virus scanner has no verdict"
        return None

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
