"""Moves a mail between inbox and Junk for its owner, or for an admin: rspamd learns from it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import delete

from usermgmt.database import Database
from usermgmt.mail.doveadm import Doveadm, Unreachable
from usermgmt.mail.imap import FOLDERS, Imap, Wanted
from usermgmt.models import AppPassword, Mailbox, MailReport
from usermgmt.passwords import generate_password
from usermgmt.problems import Problem, Refused
from usermgmt.services.audit import Actor, record

#: The name of a password that lasts as long as one move.
ONE_MOVE = "usermgmt"


def place_of(report: MailReport) -> str:
    """The folder that the mail was in last, as far as we know; empty for one that no folder here has."""
    unknown = report.outbound or report.mailbox_id is None or not report.key_value
    if unknown or report.outcome not in ("junk", "accepted"):
        return ""
    return report.moved_to or ("junk" if report.outcome == "junk" else "inbox")


@contextmanager
def one_time_password(database: Database, mailbox: Mailbox) -> Iterator[str]:
    """A password that opens the mailbox over IMAP for this one move.

    It is deleted by a statement, not as a row: that would end the person's other sessions.
    """
    password = generate_password()
    kept = hashlib.sha256(password.encode()).hexdigest()
    with database.transaction() as session:
        session.add(AppPassword(mailbox_id=mailbox.id, name=ONE_MOVE, password_hash=kept))
    try:
        yield password
    finally:
        with database.transaction() as session:
            session.execute(delete(AppPassword).where(AppPassword.password_hash == kept))


def move(
    database: Database, doveadm: Doveadm | None, actor: Actor, report: MailReport, target: str
) -> MailReport:
    """Move the mail of a report to `target`, inbox or junk. Raises Refused or Unreachable."""
    if target not in FOLDERS or place_of(report) in ("", target):
        wrong, instead = "This mail cannot be moved.", "Look at the list again."
        raise Refused(Problem("mail", "", wrong, instead))
    if doveadm is None:
        raise Unreachable("no Dovecot is set (DOVEADM_HOST)")
    with database.transaction() as session:
        mailbox = session.get_one(Mailbox, report.mailbox_id)
    wanted = Wanted(report.key_header, report.key_value, report.at)
    with one_time_password(database, mailbox) as password:
        moved = Imap(doveadm.host, doveadm.trusted, mailbox.email, password).move(wanted, target)
    if not moved:
        wrong = "The mail is no longer where it was delivered."
        instead = "Look for it in the webmail; it may have been moved or deleted there."
        raise Refused(Problem("mail", "", wrong, instead))
    with database.transaction() as session:
        row = session.get_one(MailReport, report.id)
        row.moved_to = target
        action = "mail.release" if target == "inbox" else "mail.junk"
        record(session, actor, action, mailbox.email, sender=report.sender)
    return row
