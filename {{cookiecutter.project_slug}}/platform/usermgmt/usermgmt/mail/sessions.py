"""Ends open sessions once a commit has taken away what they were opened with.

It watches the rows themselves, so that no page and no command can forget it. What is changed by a bulk UPDATE
is not seen.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import TypeGuard

from sqlalchemy import event, inspect
from sqlalchemy.orm import Session, sessionmaker

from usermgmt.mail.doveadm import Doveadm, Unreachable
from usermgmt.models import AppPassword, Domain, Mailbox, WebSession

log = logging.getLogger("usermgmt")
WATCHED = {Mailbox: ("password_hash", "active", "deleted_at", "two_factor"), Domain: ("active",)}
USERS = "users whose sessions end"


def end_sessions(sessions: sessionmaker[Session], doveadm: Doveadm | None) -> None:
    """Watch every session that is made by `sessions`."""

    def collect(session: Session, _context: object) -> None:
        session.info.setdefault(USERS, set()).update(_users(session))

    def kick(session: Session) -> None:
        users = session.info.pop(USERS, set())
        if doveadm and users:
            try:
                doveadm.kick(users)
            except Unreachable as error:
                log.error("open sessions of %s may go on: %s", ", ".join(sorted(users)), error)

    event.listen(sessions, "after_flush", collect)
    event.listen(sessions, "after_commit", kick)
    event.listen(sessions, "after_rollback", lambda session: session.info.pop(USERS, None))


def _users(session: Session) -> Iterator[str]:
    """Whose sessions what was just written concerns, as doveadm names users."""
    for row in session.dirty:
        watched = WATCHED.get(type(row), ())
        if any(inspect(row).attrs[name].history.has_changes() for name in watched):
            yield f"*@{row.name}" if isinstance(row, Domain) else row.email
    for row in session.deleted:
        if isinstance(row, Mailbox):
            yield row.email
        elif _opens_mail(row) and (owner := session.get(Mailbox, row.mailbox_id)):
            yield owner.email


def _opens_mail(row: object) -> TypeGuard[AppPassword | WebSession]:
    """Whether Dovecot lets somebody in by this row."""
    return isinstance(row, AppPassword) or (isinstance(row, WebSession) and row.webmail_at is not None)
