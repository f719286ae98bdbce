"""What happened to each mail: rspamd's reports are taken in here, found, and forgotten after two weeks."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Select, delete, select
from sqlalchemy.orm import Session

from usermgmt.addresses import domain_of, untagged
from usermgmt.models import Domain, Mailbox, MailReport, utc_now
from usermgmt.problems import Missing, Problem
from usermgmt.services import mail_counts
from usermgmt.services.graph import Graph
from usermgmt.services.mailboxes import PAGE, contains

log = logging.getLogger("usermgmt")
KEEP = timedelta(days=14)
#: From what rspamd decided to what happened to the mail; anything else is delivered as usual.
OUTCOMES = {
    "reject": "refused",
    "add header": "junk",
    "rewrite subject": "junk",
    "soft reject": "deferred",
}
HELD = ("refused", "junk", "deferred")
#: Symbols that decide alone, whatever their score.
DECISIVE = {
    "CLAM_VIRUS",
    "HEADER_TOO_LONG",
    "RATELIMITED",
    "SENDER_ALLOWED",
    "SENDER_BLOCKED",
    "SENDER_IDENTITY",
    "SENDER_NOT_PROVEN",
    "VIRUS_SCAN_MISSING",
}
MOST_REASONS = 60
SHORTEST_KEY = 10


def readable(value: object, length: int) -> str:
    """Text on one line, without characters that are not seen or turn the direction of others."""
    visible = "".join(sign if sign.isprintable() else " " for sign in str(value or ""))
    return " ".join(visible.split())[:length]


def reasons_of(found: Iterable[dict[str, Any]]) -> list[list[Any]]:
    """Name, score and text of what counted, the heaviest first."""
    rows = [
        (readable(each["name"], 100), float(each["score"]), readable(each.get("text"), 200)) for each in found
    ]
    counted = [row for row in rows if row[1] or row[0] in DECISIVE]
    heaviest = sorted(counted, key=lambda row: (row[0] not in DECISIVE, -row[1], row[0]))
    return [list(row) for row in heaviest[:MOST_REASONS]]


Place = tuple[int, int | None, str, bool]


def places(session: Session, user: str, recipients: list[str]) -> Iterator[Place]:
    """Whose mail it is: domain, mailbox, recipient as it was addressed, and whether the mailbox sent it."""
    graph = Graph(session)
    for recipient in dict.fromkeys(recipients):
        yield from in_mailboxes(session, {user}, user, recipient, True) if user else ()
        ends = {untagged(end) for end in graph.ends(recipient)}
        yield from in_mailboxes(session, ends, "" if user else recipient, recipient, False)


def in_mailboxes(
    session: Session, addresses: set[str], otherwise: str, recipient: str, outbound: bool
) -> Iterator[Place]:
    """The mailboxes with these addresses; without one, the domain of `otherwise` alone."""
    boxes = select(Mailbox).where(Mailbox.email.in_(addresses), Mailbox.deleted_at.is_(None))
    found: list[Place] = [(box.domain_id, box.id, recipient, outbound) for box in session.scalars(boxes)]
    domains = select(Domain.id).where(Domain.name == domain_of(otherwise))
    yield from found or [(number, None, recipient, outbound) for number in session.scalars(domains)]


def get_report(session: Session, report_id: int) -> MailReport:
    """The report with this id; raises Missing."""
    report = session.get(MailReport, report_id)
    if report is None:
        raise Missing(Problem("mail", str(report_id), "There is no such mail.", "Choose one from the list."))
    return report


def take(session: Session, entry: dict[str, Any]) -> set[mail_counts.Counted]:
    """Keep one report, and say as what it counts; one that came before is left out.

    KeyError, TypeError or ValueError: it is none.
    """
    report = str(entry["report"])[:32]
    if session.scalar(select(MailReport.id).where(MailReport.report == report).limit(1)):
        return set()
    user = readable(entry.get("user"), 320).lower()
    outcome = OUTCOMES.get(entry["action"], "accepted")
    # What somebody here sends is never marked as spam (config/rspamd/local.d/milter_headers.conf).
    outcome = "accepted" if user and outcome == "junk" else outcome
    key = readable(entry.get("key"), 80)
    common: dict[str, Any] = {
        "report": report,
        "at": datetime.fromtimestamp(float(entry["at"]), UTC).replace(tzinfo=None),
        "outcome": outcome,
        "sender": readable(entry.get("sender") or entry.get("envelope_sender"), 320).lower(),
        "subject": readable(entry.get("subject"), 255),
        "size": int(entry["size"]),
        "score": float(entry["score"]),
        "threshold": float(entry.get("threshold") or 0),
        "reasons": reasons_of(entry["reasons"]),
        "key_header": readable(entry.get("header"), 32),
        # Without one no mail is found; a text that is too short would find others.
        "key_value": key if len(key) >= SHORTEST_KEY else "",
    }
    recipients, counted = [readable(each, 320).lower() for each in entry["recipients"]], set()
    for domain_id, mailbox_id, recipient, outbound in places(session, user, recipients):
        place = {"domain_id": domain_id, "mailbox_id": mailbox_id, "outbound": outbound}
        session.add(MailReport(recipient=recipient, **place, **common))
        counted.add((domain_id, common["at"].date(), mail_counts.kind_of(outcome, outbound)))
    return counted


def take_all(session: Session, entries: list[dict[str, Any]]) -> None:
    """Keep and count reports, and forget old ones. What is no report is logged and left out."""
    session.execute(delete(MailReport).where(MailReport.at < utc_now() - KEEP))
    counted: list[mail_counts.Counted] = []
    for entry in entries:
        try:
            counted += take(session, entry)
        except (AttributeError, KeyError, TypeError, ValueError, OverflowError) as error:
            log.error("rspamd sent what is no mail report: %s: %s", type(error).__name__, error)
    mail_counts.count(session, counted)


def matching(own: ColumnElement[bool], search: str, outcome: str) -> Select[tuple[int]]:
    """The numbers of the reports to or from an address with the text in it.

    `outcome`: one of them, `all`, or anything else for what was not delivered as usual.
    """
    query = select(MailReport.id).where(own)
    if search.strip():
        pattern = contains(search)
        query = query.where(
            MailReport.recipient.like(pattern, escape="\\") | MailReport.sender.like(pattern, escape="\\")
        )
    if outcome != "all":
        outcomes = (outcome,) if outcome in (*HELD, "accepted") else HELD
        query = query.where(MailReport.outcome.in_(outcomes))
    return query


def find(
    session: Session, own: ColumnElement[bool], search: str, outcome: str, page: int
) -> tuple[list[MailReport], bool]:
    """One page (from 1) of at most PAGE reports, newest first, and whether there are more."""
    query = matching(own, search, outcome).with_only_columns(MailReport)
    order = (MailReport.at.desc(), MailReport.id.desc())
    # One more than is shown tells whether there are more; counting all of them would take long.
    rows = list(session.scalars(query.order_by(*order).limit(PAGE + 1).offset((max(page, 1) - 1) * PAGE)))
    return rows[:PAGE], len(rows) > PAGE
