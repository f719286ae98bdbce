"""What the overview says of mailboxes and of the server, and what of it needs attention first."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Float, case, cast, func, select
from sqlalchemy.orm import Session

from usermgmt.models import Domain, DomainDns, HostNews, Mailbox, MailboxUsage
from usermgmt.services import dns, host_news
from usermgmt.services.host_news import CRITICAL, WARNING

MOST_DOMAINS, MOST_MAILBOXES, MOST_WRONG = 10, 8, 20
#: Of the words of an incident; the monitor's alarm has all of them.
LONGEST_WORDS = 500


@dataclass(frozen=True)
class Stored:
    """How much a mailbox or a domain's mailboxes hold, beside what they may; both in bytes."""

    id: int
    name: str
    used: int
    quota: int
    mailboxes: int = 1

    @property
    def full(self) -> bool:
        """Whether no more fits in."""
        return self.used >= self.quota


@dataclass(frozen=True)
class Attention:
    """Something to look at: what is wrong, since when, and the command or the page that helps."""

    severity: str
    title: str
    values: dict[str, Any] = field(default_factory=dict)
    detail: str = ""
    since: datetime | None = None
    command: str = ""
    page: str = ""
    arguments: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Storage:
    """Who stores how much, as the host measured at `at`; None: it never did."""

    domains: list[Stored]
    fullest: list[Stored]
    full: int
    at: datetime | None


def moment_of(seconds: float | None) -> datetime | None:
    """A time of the host as the database keeps times."""
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC).replace(tzinfo=None)


def storage(session: Session, scope: frozenset[int] | None) -> Storage:
    """The domains that hold most, the fullest mailboxes, and how many are full."""
    share = cast(MailboxUsage.used_bytes, Float) / Mailbox.quota_bytes
    own = [Mailbox.deleted_at.is_(None)] + ([] if scope is None else [Mailbox.domain_id.in_(scope)])
    measured_boxes = (MailboxUsage, MailboxUsage.mailbox_id == Mailbox.id)
    by_domain = (
        select(
            Domain.id,
            Domain.name,
            func.coalesce(func.sum(MailboxUsage.used_bytes), 0),
            func.sum(Mailbox.quota_bytes),
            func.count(),
            func.sum(case((share >= 1, 1), else_=0)),
        )
        .join(Mailbox, Mailbox.domain_id == Domain.id)
        .outerjoin(*measured_boxes)
        .where(*own)
        .group_by(Domain.id, Domain.name)
    )
    fullest = (
        select(Mailbox.id, Mailbox.email, MailboxUsage.used_bytes, Mailbox.quota_bytes)
        .join(*measured_boxes)
        .where(*own)
        .order_by(share.desc(), Mailbox.email)
        .limit(MOST_MAILBOXES)
    )
    measured, sums = session.get(HostNews, host_news.USAGE), session.execute(by_domain).all()
    domains = [Stored(row[0], row[1], int(row[2]), int(row[3]), row[4]) for row in sums]
    return Storage(
        sorted(domains, key=lambda each: (-each.used, each.name))[:MOST_DOMAINS],
        [Stored(*row) for row in session.execute(fullest)],
        sum(int(row[5]) for row in sums),
        measured.at if measured else None,
    )


def usage_of(session: Session, mailbox: Mailbox) -> int | None:
    """How much a mailbox held when the host last measured; None: it did not yet."""
    found = session.get(MailboxUsage, mailbox.id)
    return found.used_bytes if found else None


def attention(
    session: Session, news: HostNews | None, stored: Storage, scope: frozenset[int] | None
) -> list[Attention]:
    """What is wrong, the worst first. Of the server, admins of domains are told what stops mail, in a word:
    the words of an incident may name other people's addresses, and its commands are not theirs.
    """
    found = []
    if news and host_news.is_old(news):
        command = "" if scope is not None else "systemctl list-timers; .venv/bin/mailctl monitor"
        text = "There is no news from the server since:"
        found.append(Attention(CRITICAL, text, since=news.at, command=command))
    elif news:
        found += [_of_incident(each, scope is None) for each in news.document["incidents"]]
    if scope is not None:
        found = [each for each in found if each.severity == CRITICAL] + _of_dns(session, scope)
    if stored.full:
        text = "Mailboxes that are full and take no more mail: {count}"
        page, state = "mailboxes.show", {"state": "full"}
        found.append(Attention(WARNING, text, {"count": stored.full}, page=page, arguments=state))
    found.sort(key=lambda each: each.severity != CRITICAL)
    if more := found[MOST_WRONG:]:
        text = "More that needs attention: {count}"
        found[MOST_WRONG:] = [Attention(WARNING, text, {"count": len(more)})]
    return found


def _of_incident(incident: dict[str, Any], whole: bool) -> Attention:
    """An incident of the monitor; without its words for those whose server it is not."""
    words = {"detail": incident["text"][:LONGEST_WORDS], "command": incident["fix"]} if whole else {}
    return Attention(incident["severity"], incident["title"], since=moment_of(incident["since"]), **words)


def _of_dns(session: Session, scope: frozenset[int]) -> list[Attention]:
    """Domains whose records are not as they should be; the monitor tells the owner of them."""
    text = "DNS records of {domain} that are not as they should be: {count}"
    query = select(Domain, DomainDns.records).join(DomainDns, DomainDns.domain_id == Domain.id)
    return [
        Attention(
            WARNING,
            text,
            {"domain": domain.name, "count": dns.wrong(records)},
            page="domains.show_one",
            arguments={"domain_id": domain.id},
        )
        for domain, records in session.execute(query.where(Domain.id.in_(scope)).order_by(Domain.name))
        if dns.wrong(records)
    ]
