"""How full mailboxes are, for pages: what Dovecot said lately, and nothing rather than a long wait."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable

from usermgmt.mail.doveadm import Doveadm, Unreachable

log = logging.getLogger("usermgmt")
#: Seconds that an answer is shown again, and that a Dovecot which did not answer is left alone.
FRESH, PAUSE = 60, 30
#: Seconds that a page waits for each step of the call.
PATIENCE = 1
MOST_KEPT = 10_000


class Usage:
    """Asks Dovecot, remembers for a moment, and never fails."""

    def __init__(self, doveadm: Doveadm | None, now: Callable[[], float] = time.monotonic) -> None:
        self._doveadm, self._now = doveadm, now
        self._known: dict[str, tuple[float, int | None]] = {}
        self._again_at = 0.0

    def of(self, addresses: Iterable[str]) -> dict[str, int]:
        """Bytes of those that are known; one call for all that are not, if Dovecot answered lately."""
        wanted, now = list(addresses), self._now()
        missing = [each for each in wanted if now - self._known.get(each, (-FRESH, 0))[0] >= FRESH]
        if missing and self._doveadm and now >= self._again_at:
            try:
                found = self._doveadm.used_bytes(missing, PATIENCE)
            except Unreachable as error:
                self._again_at = self._now() + PAUSE
                log.warning("how full mailboxes are is not known: %s", error)
            else:
                if len(self._known) > MOST_KEPT:
                    self._known = {}
                self._known.update({each: (now, found.get(each)) for each in missing})
        known = {each: self._known[each] for each in wanted if each in self._known}
        return {each: size for each, (at, size) in known.items() if size is not None and now - at < FRESH}
