"""Proves to an authority that a name is ours: a TXT record at Cloudflare, for as long as it looks."""

import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress

from mailctl.core.context import Context
from mailctl.core.errors import Problem, Refused
from mailctl.edge import desired
from mailctl.edge.cloud import DNS, Cloud, created, explained, reach
from mailctl.edge.dns_view import View
from mailctl.edge.records import quoted

TOKEN_FILE, TOKEN_VARIABLE = "acme_cloudflare_token", "ACME_CLOUDFLARE_TOKEN"
# RFC 8555, section 8.4.
LABEL = "_acme-challenge"
MARK = "mailctl: certificate"
TTL, POLL_SECONDS = 60, 2.0


class Challenge:
    """The zone of edge/edge.yml, by the one token that this is all it may do. Raises Refused."""

    def __init__(self, context: Context, token: str, resolver: str | None, wait: float) -> None:
        self.zone, self.wait = str(desired.load(context.repo)["zone"]), wait
        self.view, self.alone = View(resolver), resolver is not None
        self.cloud: Cloud = reach(token, self.zone, (TOKEN_VARIABLE, TOKEN_FILE))

    @contextmanager
    def answered(self, host: str, values: Iterable[str]) -> Iterator[None]:
        """DNS has the values while this lasts; what a killed run of ours left is removed, too."""
        name, values = f"{LABEL}.{host}", list(values)
        try:
            self._remove(name)
            for value in values:
                self._create(name, value)
            self._see(name, values)
            yield
        finally:
            # Nobody but authorities looks there, and the next run begins with this.
            with suppress(Refused):
                self._remove(name)

    def _create(self, name: str, value: str) -> None:
        records, zone = self.cloud.once().dns.records, self.cloud.zone_id
        with self._explained(f"publishing {name}"):
            created(
                lambda: records.create(
                    zone_id=zone, type="TXT", name=name, content=quoted(value), ttl=TTL, comment=MARK
                )
            )

    def _remove(self, name: str) -> None:
        records, zone = self.cloud.client.dns.records, self.cloud.zone_id
        with self._explained(f"removing {name}"):
            for each in list(records.list(zone_id=zone, per_page=500)):
                if (each.type, each.name, each.comment) == ("TXT", name, MARK):
                    records.delete(each.id, zone_id=zone)

    def _explained(self, what: str) -> AbstractContextManager[None]:
        return explained(what, DNS, (TOKEN_VARIABLE, TOKEN_FILE))

    def _see(self, name: str, values: list[str]) -> None:
        """Each name server of the zone must have them: an authority asks once, and remembers."""
        end, nap = time.monotonic() + self.wait, threading.Event()
        views = [self.view] if self.alone else self.view.authorities(self.zone)
        wanted = set(values)
        while missing := [each.name for each in views if not wanted <= {*each.look(name, "TXT")}]:
            if time.monotonic() > end:
                wrong = f"is not seen by {', '.join(missing)} after {self.wait:.0f} seconds"
                raise Refused(Problem("DNS", wrong, "run the same command again later", value=name))
            nap.wait(POLL_SECONDS)
