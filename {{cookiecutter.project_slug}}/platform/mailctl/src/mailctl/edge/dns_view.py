"""What the world sees: DNS queries, answered by the resolver of this host or by one that is named."""

from functools import cached_property
from typing import Any

from mailctl.edge.desired import mechanisms

TIMEOUT_SECONDS = 5.0
# A chain of includes that goes round or on for ever is cut here; a receiver gives up at ten look-ups anyway.
DEPTH = 10


class Unasked(Exception):
    """DNS gave no answer, by a time-out or a server's failure: nothing is known about the record."""


class View:
    """`resolver` is an address, or address:port; None is what /etc/resolv.conf names."""

    def __init__(self, resolver: str | None = None) -> None:
        self._named = resolver
        self.name = resolver or "this host's resolver"

    def authorities(self, zone: str) -> list["View"]:
        """The zone's own name servers, each as a view: they know a change before any cache does."""
        names = self.look(zone, "NS")
        return [View(address) for name in names for address in self.look(name, "A")]

    @cached_property
    def _resolver(self) -> Any:
        import dns.resolver

        resolver = dns.resolver.Resolver(configure=self._named is None)
        resolver.lifetime = TIMEOUT_SECONDS
        resolver.cache = None
        if self._named:
            address, _, port = self._named.partition(":")
            resolver.nameservers, resolver.port = [address], int(port or 53)
        return resolver

    def ask(self, name: str, kind: str) -> list[str]:
        """The records of one kind, TXT as joined text; empty for none. Raises Unasked."""
        from dns.exception import DNSException
        from dns.resolver import NXDOMAIN, NoAnswer

        try:
            answer = self._resolver.resolve(name, kind, search=False)
        except (NXDOMAIN, NoAnswer):
            return []
        except DNSException as error:
            raise Unasked(str(error)) from None
        if kind == "TXT":
            return [_printable(b"".join(record.strings)) for record in answer]
        if kind == "MX":
            return [str(record.exchange).rstrip(".").lower() for record in answer]
        # As edge/edge.yml has them: a name without its last dot, the value of a CAA record without its marks.
        return [record.to_text().replace('"', "").rstrip(".") for record in answer]

    def look(self, name: str, kind: str) -> list[str]:
        """As `ask`, but empty for no answer too."""
        try:
            return self.ask(name, kind)
        except Unasked:
            return []

    def addresses(self, name: str) -> list[str]:
        """Where a browser would find the name. Raises Unasked."""
        return self.ask(name, "A") or self.ask(name, "AAAA")

    def spf_lookups(self, spf: str, depth: int = DEPTH) -> int:
        """How many DNS queries a receiver needs for an SPF record, with those of its includes."""
        total = 0
        for term in mechanisms(spf):
            total += 1
            word, _, domain = term.replace("=", ":").partition(":")
            if word.lower() in ("include", "redirect") and depth:
                inner = next((t for t in self.look(domain, "TXT") if t.startswith("v=spf1")), "")
                total += self.spf_lookups(inner, depth - 1)
        return total


def _printable(text: bytes) -> str:
    """A stranger's text without what a terminal would obey."""
    return "".join(
        c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text.decode("utf-8", "replace")
    )
