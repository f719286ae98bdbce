"""Browsers that are logged in. The cookie holds a random token, the table its SHA-256."""

from __future__ import annotations

import hashlib
import secrets
from datetime import timedelta

from sqlalchemy import ColumnElement, delete, select
from sqlalchemy.orm import Session

from usermgmt.models import WebSession, utc_now
from usermgmt.services.accounts import Account, belongs, owner

IDLE = timedelta(minutes=30)
LONGEST = timedelta(hours=10)
#: A session is marked as seen no more often than this: reading a page should seldom write.
SEEN_EVERY = timedelta(minutes=1)


def digest(token: str) -> str:
    """What the table keeps of a token."""
    return hashlib.sha256(token.encode()).hexdigest()


def begin(session: Session, account: Account, client_address: str, user_agent: str) -> str:
    """Remember a new browser; returns its token. Sessions that ran out are cleared away."""
    now, token = utc_now(), secrets.token_urlsafe(32)
    old = (WebSession.last_seen_at < now - IDLE) | (WebSession.created_at < now - LONGEST)
    session.execute(delete(WebSession).where(old))
    row = WebSession(
        token_hash=digest(token), client_address=client_address, user_agent=user_agent[:255], **owner(account)
    )
    session.add(row)
    return token


def lasts(row: WebSession) -> bool:
    """Whether its time has not run out."""
    now = utc_now()
    return now - row.last_seen_at <= IDLE and now - row.created_at <= LONGEST


def seen(row: WebSession) -> None:
    """Remember that it is in use."""
    now = utc_now()
    if now - row.last_seen_at > SEEN_EVERY:
        row.last_seen_at = now


def find(session: Session, token: str) -> WebSession | None:
    """The session with this token while it lasts; marks it as seen."""
    row = session.scalar(select(WebSession).where(WebSession.token_hash == digest(token)))
    if row is None or not lasts(row):
        return None
    seen(row)
    return row


def list_sessions(session: Session, account: Account) -> list[WebSession]:
    """The account's sessions that last, newest first."""
    recent = WebSession.last_seen_at > utc_now() - IDLE
    rows = select(WebSession).where(belongs(WebSession, account), recent)
    return list(session.scalars(rows.order_by(WebSession.last_seen_at.desc())))


def end(session: Session, account: Account, row_id: int) -> None:
    """End one session of the account."""
    _end(session, WebSession.id == row_id, belongs(WebSession, account))


def end_others(session: Session, account: Account, keep: int) -> None:
    """End all sessions of the account but one."""
    _end(session, belongs(WebSession, account), WebSession.id != keep)


def _end(session: Session, *which: ColumnElement[bool]) -> None:
    """One row at a time: mail/sessions.py watches them, to end what the webmail has open."""
    for row in session.scalars(select(WebSession).where(*which)):
        session.delete(row)
