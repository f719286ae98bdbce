"""What a report says once it is read: the same for DMARC (RFC 7489) and TLS (RFC 8460)."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

DMARC, TLS = "dmarc", "tls"
#: Ways in which mail in our name fared. The first three are a pass.
BOTH, SIGNED, LISTED = PASSES = ("both", "dkim", "spf")
FORWARDED, BROKEN, OTHER, NOTHING = ("forwarded", "broken", "other", "nothing")
#: Of a TLS session that worked; failures have the names of RFC 8460, 4.3.
ENCRYPTED = "encrypted"
MOST_ROWS = 100
LONGEST_NUMBER = 10
LONGEST_ID = 255
#: A report is about a day, some senders' about a week; and the clock of its sender may be wrong.
LONGEST_SPAN, OLDEST, CLOCK = timedelta(days=8), timedelta(days=395), timedelta(days=2)
NAME = re.compile(r"[a-z0-9_](?:[a-z0-9_.-]{0,251}[a-z0-9_])?")
#: Source, From domain, verdict, another domain that it is about, and what was done with the mail.
Row = tuple[str, str, str, str, str]


class Unreadable(ValueError):
    """This is no report, or none that can be read within the bounds; the message says why."""


@dataclass(frozen=True)
class Report:
    """One report about one domain; `policy` is what it saw published. Times are seconds since 1970."""

    kind: str
    domain: str
    report_id: str
    begins: int
    ends: int
    policy: str
    rows: list[tuple[Row, int]]


def name(text: str | None) -> str:
    """A domain or host name as it is compared here; nothing if the text is none."""
    found = (text or "").strip().rstrip(".").lower()
    return found if NAME.fullmatch(found) else ""


def number(text: object) -> int:
    """A count, or a time in seconds since 1970; raises Unreadable."""
    written = str(text).strip()
    if not (written.isascii() and written.isdigit()) or len(written) > LONGEST_NUMBER:
        raise Unreadable(f"{written[:40]!r} is no number")
    return int(written)


def report(
    kind: str, domain: str, report_id: str, span: tuple[int, int], policy: str, rows: Counter[Row]
) -> Report:
    """A report that makes sense: about a domain and a time that can be, its rarest sources summed up."""
    now = datetime.now(UTC).timestamp()
    begins, ends = span
    if not name(domain) or not report_id.strip():
        raise Unreadable("it names no domain, or has no id")
    if not (now - OLDEST.total_seconds() < begins < ends < now + CLOCK.total_seconds()):
        raise Unreadable(f"the time from {begins} to {ends} is too long ago, or to come")
    if ends - begins > LONGEST_SPAN.total_seconds():
        raise Unreadable(f"the time from {begins} to {ends} is too long")
    kept = Counter(dict(rows.most_common(MOST_ROWS)))
    for row in rows.keys() - kept.keys():
        kept["", "", row[2], "", row[4]] += rows[row]
    return Report(kind, name(domain), report_id.strip()[:LONGEST_ID], begins, ends, policy, [*kept.items()])
