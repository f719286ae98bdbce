"""Whether a message could be taken right now."""

import asyncio
import shutil
import time
from collections.abc import Callable

from mailserver_api.ledger import Ledger, LedgerError
from mailserver_api.settings import Settings
from mailserver_api.smtp import Server, probe
from mailserver_api.spool import Spool
from mailserver_api.tokens import Tokens


class Readiness:
    """Asks postfix, the tokens, the spool and the ledger; an answer is good for `ready_cache_seconds`."""

    def __init__(
        self, settings: Settings, server: Server, tokens: Tokens, spool: Spool, ledger: Ledger
    ) -> None:
        self._settings = settings
        self._server = server
        self._tokens = tokens
        self._spool = spool
        self._ledger = ledger
        self._lock = asyncio.Lock()
        self._reasons: list[str] = []
        self._checked_at = float("-inf")

    async def reasons(self) -> list[str]:
        """Why no message can be taken now; empty: ready. Callers at the same moment share one check."""
        async with self._lock:
            if time.monotonic() - self._checked_at >= self._settings.ready_cache_seconds:
                checks: list[Callable[[], str | None]] = [
                    self._check_smtp,
                    self._check_disk,
                    self._check_ledger,
                ]
                found = await asyncio.gather(*(asyncio.to_thread(check) for check in checks))
                self._reasons = [reason for reason in (self._tokens.problem(), *found) if reason]
                self._checked_at = time.monotonic()
            return self._reasons

    def _check_smtp(self) -> str | None:
        return probe(self._server, time.monotonic() + self._settings.connect_timeout)

    def _check_disk(self) -> str | None:
        folder = self._settings.spool_dir
        try:
            with self._spool.open() as file:
                file.write(b"ready?")
            free = shutil.disk_usage(folder).free
        except OSError as error:
            return f"spool {folder}: {error.strerror}"
        if free < self._settings.max_message_bytes:
            return f"spool {folder}: only {free} bytes free"
        return None

    def _check_ledger(self) -> str | None:
        try:
            self._ledger.check()
        except LedgerError as error:
            return f"ledger {error}"
        return None
