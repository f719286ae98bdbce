"""Keeping what other servers report about our domains, and what it comes to.

Reports are claims: DMARC has proven whose mail brought one, not that it is true.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from sqlalchemy import ColumnElement, case, delete, func, select
from sqlalchemy.orm import Session

from usermgmt.feedback.forms import DMARC, FORWARDED, NOTHING, OLDEST, PASSES, TLS, Report, Unreadable
from usermgmt.models import Domain, DomainReport, DomainReportRow, utc_now
from usermgmt.services.directory import find_domain
from usermgmt.services.listing import Order, Part, Window, part, within
from usermgmt.services.mailboxes import PAGE, contains

#: Of one domain; some twenty reporters send one a day.
MOST_REPORTS = 10_000
SHOWN_DAYS = 30
MOST_GROUPS = 2_000
#: From how much of it a policy may be judged: days with reports, mails, and the share that passes.
ENOUGH_DAYS, ENOUGH_MAILS, ENOUGH_PASS = 14, 100, 0.98
STRICTER = {"none": "quarantine", "quarantine": "reject"}
COLUMNS = ("source", "header_from", "verdict", "about", "disposition")


@dataclass(frozen=True)
class Group:
    """Mail from one network that fared in one way, or TLS sessions with one host."""

    source: str
    header_from: str
    verdict: str
    about: str
    count: int


@dataclass(frozen=True)
class Summary:
    """What the reports of the last days come to: days with what passed and failed, and who reported.

    The latter with the number of their reports and the last day.
    """

    days: list[tuple[date, int, int]]
    mail: list[Group]
    sessions: list[Group]
    reporters: list[tuple[str, int, date]]
    policy: str

    @property
    def totals(self) -> tuple[int, int]:
        """How many mails passed and failed."""
        return sum(day[1] for day in self.days), sum(day[2] for day in self.days)

    @property
    def advice(self) -> str:
        """What to do about the policy: `wait`, `fix`, `strict`, or the policy that is safe now."""
        # A stranger's mail, and what a forwarder changed, say nothing about ours.
        own = [group for group in self.mail if group.verdict not in (NOTHING, FORWARDED)]
        mails = sum(group.count for group in own)
        if sum(bool(good or bad) for _, good, bad in self.days) < ENOUGH_DAYS or mails < ENOUGH_MAILS:
            return "wait"
        if sum(group.count for group in own if group.verdict in PASSES) < mails * ENOUGH_PASS:
            return "fix"
        return STRICTER.get(self.policy, "strict")


def take(session: Session, reporter: str, reports: list[Report]) -> None:
    """Keep the reports of one mail; one that came before changes nothing.

    Raises Unreadable if one is about a domain that is not here: nobody should take it for counted.
    """
    session.execute(delete(DomainReport).where(DomainReport.day < (utc_now() - OLDEST).date()))
    for report in reports:
        domain = find_domain(session, report.domain)
        if domain is None:
            raise Unreadable(f"it is about {report.domain}, which is not a domain of this server")
        identity = "\n".join((report.kind, report.domain, reporter, report.report_id))
        digest = hashlib.sha256(identity.encode()).hexdigest()
        if session.scalar(select(DomainReport.id).where(DomainReport.digest == digest)):
            continue
        new = DomainReport(
            domain=domain, kind=report.kind, policy=report.policy, reporter=reporter, digest=digest
        )
        new.day = datetime.fromtimestamp((report.begins + report.ends) / 2, UTC).date()
        new.rows = [
            DomainReportRow(**dict(zip(COLUMNS, row, strict=True)), count=count) for row, count in report.rows
        ]
        session.add(new)
        session.flush()
        keep_few(session, domain)


def keep_few(session: Session, domain: Domain) -> None:
    """Beyond the limit, the oldest goes of whoever sends most: a flood of reports replaces its own."""
    own = DomainReport.domain_id == domain.id
    if (session.scalar(select(func.count(DomainReport.id)).where(own)) or 0) <= MOST_REPORTS:
        return
    busiest = select(DomainReport.reporter).where(own).group_by(DomainReport.reporter)
    reporter = session.scalar(busiest.order_by(func.count().desc()).limit(1))
    oldest = select(DomainReport.id).where(own, DomainReport.reporter == reporter).order_by(DomainReport.day)
    session.execute(delete(DomainReport).where(DomainReport.id == session.scalar(oldest.limit(1))))


def groups(session: Session, kind: str, *conditions: ColumnElement[bool]) -> list[Group]:
    """What is alike together, the most first."""
    alike = [getattr(DomainReportRow, column) for column in COLUMNS[:4]]
    count = func.sum(DomainReportRow.count)
    query = select(*alike, count).join(DomainReport).where(DomainReport.kind == kind, *conditions)
    found = session.execute(query.group_by(*alike).order_by(count.desc(), *alike).limit(MOST_GROUPS))
    return [Group(row[0], row[1], row[2], row[3], int(row[4])) for row in found]


def days(session: Session, today: date, *conditions: ColumnElement[bool]) -> list[tuple[date, int, int]]:
    """What passed and what failed on each of the last days, also on those without a report."""
    count = DomainReportRow.count
    passed = func.sum(case((DomainReportRow.verdict.in_(PASSES), count), else_=0))
    query = select(DomainReport.day, passed, func.sum(count) - passed).join(DomainReportRow)
    found = session.execute(query.where(DomainReport.kind == DMARC, *conditions).group_by(DomainReport.day))
    known = {day: (day, int(good), int(bad)) for day, good, bad in found}
    shown = [today - timedelta(days=back) for back in reversed(range(SHOWN_DAYS))]
    return [known.get(day, (day, 0, 0)) for day in shown]


def summary(session: Session, domain: Domain) -> Summary:
    """What the last 30 days come to."""
    today = utc_now().date()
    recent = (DomainReport.domain_id == domain.id, DomainReport.day > today - timedelta(days=SHOWN_DAYS))
    number = func.count(DomainReport.id)
    reporters = select(DomainReport.reporter, number, func.max(DomainReport.day)).where(*recent)
    reporters = reporters.group_by(DomainReport.reporter).order_by(number.desc()).limit(PAGE)
    newest = select(DomainReport.policy).where(*recent, DomainReport.kind == DMARC)
    return Summary(
        days(session, today, *recent),
        groups(session, DMARC, *recent),
        groups(session, TLS, *recent),
        [(name, count, day) for name, count, day in session.execute(reporters)],
        session.scalar(newest.order_by(DomainReport.day.desc(), DomainReport.id.desc()).limit(1)) or "",
    )


def find(session: Session, scope: frozenset[int] | None, search: str, window: Window) -> Part:
    """Some of the reports, newest first; `search` is text in the domain's name."""
    ids = within(select(DomainReport.id), DomainReport.domain_id, scope)
    if search.strip():
        ids = ids.where(DomainReport.domain.has(Domain.name.like(contains(search), escape="\\")))
    return part(session, ids, Order("newest", DomainReport.id, True), window)
