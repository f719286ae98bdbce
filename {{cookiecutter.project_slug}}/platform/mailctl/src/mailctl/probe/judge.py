"""What a probe's header says: DKIM, SPF and DMARC as our own rspamd saw them, and the hops with their times.

From top to bottom a header has Dovecot's Received, Postfix's own, and then what the outside wrote. rspamd
removes each Authentication-Results that came with a mail, and inserts its own among the top ones
(config/rspamd/local.d/milter_headers.conf); the fields are those of RFC 8601.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from email.parser import HeaderParser
from email.utils import parsedate_to_datetime

RESULTS, RECEIVED = "authentication-results", "received"
#: Dovecot's and Postfix's own Received lines.
OWN_LINES = 2
PASS, NONE = "pass", "none"
_COMMENT = re.compile(r"\([^()]*\)")
_BY = re.compile(r"\bby\s+([^\s;]+)", re.IGNORECASE)
DKIM_FIX = (
    "make dkim-status and make edge-check; in the relay's settings, switch click and open tracking off "
    "(docs/runbooks/mail-does-not-go-out.md)"
)
DMARC_FIX = "make edge-check: the From domain needs a DMARC record, and SPF or DKIM of the same domain"
NO_RESULTS_FIX = "make logs SERVICE=rspamd; is config/rspamd/local.d/milter_headers.conf as it came?"


@dataclass(frozen=True)
class Hop:
    """Who took the mail, and how many seconds after the one before (first: after it was sent)."""

    by: str
    seconds: int


@dataclass(frozen=True)
class Judgement:
    """Words of RFC 8601 (pass, fail, none …), the selector of our signature, the hops in order of time."""

    dkim: str = ""
    spf: str = ""
    dmarc: str = ""
    selector: str = ""
    hops: tuple[Hop, ...] = ()

    @property
    def seconds(self) -> int:
        """From sending to the mailbox."""
        return sum(hop.seconds for hop in self.hops)

    def problem(self) -> tuple[str, str] | None:
        """What receivers would not like, and how to fix it; None: they accept this mail."""
        if not self.dkim:
            return "rspamd has written no results of SPF, DKIM and DMARC", NO_RESULTS_FIX
        if self.dkim != PASS:
            which = f" (selector {self.selector})" if self.selector else ""
            text = f"our signature does not verify{which}: DKIM {self.dkim}"
            return f"{text}; the mail was changed on the way, or DNS has another key", DKIM_FIX
        if self.dmarc != PASS:
            return f"DMARC {self.dmarc or NONE}, although DKIM passes", DMARC_FIX
        return None


def judge(header: str, domain: str, sent: float) -> Judgement:
    """Judge the header of a probe from `domain` that was sent at `sent` (epoch seconds). Raises nothing."""
    fields = [(name.lower(), str(value)) for name, value in HeaderParser().parsestr(header).items()]
    dkim, methods = (NONE, ""), {"spf": NONE, "dmarc": NONE}
    results = list(_results(_own_results(fields)))
    for method, word, properties in results:
        if method in methods:
            methods[method] = word
        elif method == "dkim" and properties.get("header.d") == domain and dkim[0] != PASS:
            dkim = word, properties.get("header.s", "")
    hops = tuple(_hops(fields, sent))
    if not results:
        return Judgement(hops=hops)
    return Judgement(dkim[0], methods["spf"], methods["dmarc"], dkim[1], hops)


def _own_results(fields: list[tuple[str, str]]) -> str:
    """The results that our rspamd wrote: the only ones above all that the outside wrote, under our name."""
    received = [number for number, (name, _) in enumerate(fields) if name == RECEIVED]
    if len(received) < OWN_LINES:
        return ""
    ours = fields[: received[OWN_LINES]] if len(received) > OWN_LINES else fields
    own_name = _by(fields[received[OWN_LINES - 1]][1])
    found = [value for name, value in ours if name == RESULTS]
    if len(found) != 1 or found[0].partition(";")[0].strip().lower() != own_name.lower():
        return ""
    return found[0]


def _results(value: str) -> Iterator[tuple[str, str, dict[str, str]]]:
    """Method, word and properties of each result."""
    for part in _plain(value).split(";")[1:]:
        words = [word.partition("=") for word in part.replace('"', "").lower().split()]
        pairs = [(name, said) for name, equals, said in words if equals]
        if pairs:
            yield pairs[0][0], pairs[0][1], dict(pairs[1:])


def _hops(fields: list[tuple[str, str]], sent: float) -> Iterator[Hop]:
    before = sent
    for name, value in reversed(fields):
        if name != RECEIVED:
            continue
        try:
            at = parsedate_to_datetime(_plain(value).rpartition(";")[2].strip()).timestamp()
        except (ValueError, TypeError, OverflowError, IndexError):
            continue
        # Clocks differ; nothing arrives before it was sent.
        yield Hop(_by(value), round(max(0.0, at - before)))
        before = max(before, at)


def _by(received: str) -> str:
    found = _BY.search(_plain(received))
    return found[1] if found else "unknown"


def _plain(value: str) -> str:
    """Without comments, which may be nested, and on one line."""
    while (shorter := _COMMENT.sub(" ", value)) != value:
        value = shorter
    return " ".join(value.split())
