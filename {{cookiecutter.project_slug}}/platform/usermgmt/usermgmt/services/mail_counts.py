"""How much mail there was, by day and by month: counted as rspamd's reports arrive."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

from sqlalchemy import delete, distinct, func, insert, select, update
from sqlalchemy.orm import Session

from usermgmt.models import MailCount, MailReport, utc_now

DAY, MONTH = "day", "month"
DAYS, MONTHS = 14, 13
#: What is counted, in the order in which it is drawn.
KINDS = ("received", "sent", "junk", "refused", "deferred")
#: Domain, day and kind of one mail.
Counted = tuple[int, date, str]


@dataclass
class Tally:
    """The mails of a day or a month."""

    starts: date
    counts: dict[str, int] = field(default_factory=lambda: dict.fromkeys(KINDS, 0))

    @property
    def total(self) -> int:
        """All of them."""
        return sum(self.counts.values())


def kind_of(outcome: str, outbound: bool) -> str:
    """What a mail is counted as."""
    return ("sent" if outbound else "received") if outcome == "accepted" else outcome


def periods(today: date) -> dict[str, list[date]]:
    """When the days and months that are kept began, the oldest first."""
    months = [today.year * 12 + today.month - 1 - back for back in reversed(range(MONTHS))]
    return {
        DAY: [today - timedelta(days=back) for back in reversed(range(DAYS))],
        MONTH: [date(month // 12, month % 12 + 1, 1) for month in months],
    }


def count(session: Session, mails: Iterable[Counted]) -> None:
    """Add mails to their day and their month, and forget the oldest."""
    found: dict[tuple[str, date, int], Counter[str]] = {}
    for domain_id, day, kind in mails:
        for period, starts in ((DAY, day), (MONTH, day.replace(day=1))):
            found.setdefault((period, starts, domain_id), Counter())[kind] += 1
    # In one order everywhere, so that two transactions never wait for each other.
    for key in sorted(found):
        _add(session, key, found[key])
    for period, kept in periods(utc_now().date()).items():
        session.execute(delete(MailCount).where(MailCount.period == period, MailCount.starts < kept[0]))


def _add(session: Session, key: tuple[str, date, int], counts: Counter[str]) -> None:
    """Add to a row; the first mail of a period makes it, and another transaction may have been faster."""
    row = dict(zip(("period", "starts", "domain_id"), key, strict=True))
    change = (
        update(MailCount)
        .filter_by(**row)
        .values({name: getattr(MailCount, name) + number for name, number in counts.items()})
        .execution_options(synchronize_session=False)
    )
    if not session.connection().execute(change).rowcount:
        new = insert(MailCount).values(row)
        for dialect, word in (("mysql", "IGNORE"), ("mariadb", "IGNORE"), ("sqlite", "OR IGNORE")):
            new = new.prefix_with(word, dialect=dialect)
        session.execute(new)
        session.execute(change)


def history(session: Session, scope: frozenset[int] | None) -> dict[str, list[Tally]]:
    """The days and months of the domains in `scope` (None: all), those without mail as well."""
    found = _empty()
    sums = [func.sum(getattr(MailCount, kind)) for kind in KINDS]
    query = select(MailCount.period, MailCount.starts, *sums).group_by(MailCount.period, MailCount.starts)
    for period, starts, *counts in session.execute(
        query if scope is None else query.where(MailCount.domain_id.in_(scope))
    ):
        if starts in found[period]:
            found[period][starts].counts = dict(zip(KINDS, map(int, counts), strict=True))
    return {period: list(tallies.values()) for period, tallies in found.items()}


def days_of_mailbox(session: Session, mailbox_id: int) -> list[Tally]:
    """The days of one person, from the reports, which are kept for as long."""
    found = _empty()[DAY]
    day = func.date(MailReport.at)
    query = (
        select(day, MailReport.outbound, MailReport.outcome, func.count(distinct(MailReport.report)))
        .where(
            MailReport.mailbox_id == mailbox_id,
            MailReport.at >= datetime.combine(min(found), datetime.min.time()),
        )
        .group_by(day, MailReport.outbound, MailReport.outcome)
    )
    for starts, outbound, outcome, number in session.execute(query):
        if known := found.get(date.fromisoformat(str(starts))):
            known.counts[kind_of(outcome, outbound)] += number
    return list(found.values())


def _empty() -> dict[str, dict[date, Tally]]:
    return {
        period: {starts: Tally(starts) for starts in all_starts}
        for period, all_starts in periods(utc_now().date()).items()
    }
