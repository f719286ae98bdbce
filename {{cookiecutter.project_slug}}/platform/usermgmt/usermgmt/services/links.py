"""Links that set a password once: an admin makes one, whoever it is for opens it within a day.

What the table keeps is a hash of the token and of the password hash of that moment. So whoever sets another
password, and wherever, ends the link.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from datetime import timedelta

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from usermgmt.database import Database
from usermgmt.models import LoginAttempt, Mailbox, PasswordLink, utc_now
from usermgmt.passwords import Hasher
from usermgmt.services import logins
from usermgmt.services.accounts import Account, belongs, kind_of, load, owner
from usermgmt.services.audit import Actor, record
from usermgmt.services.self_service import end_app_passwords, set_password

LASTS = timedelta(hours=24)
TOKEN = re.compile(r"(admin|mailbox)-(\d{1,9})-[\w-]{43}", re.ASCII)
#: Whom a wrong link counts against, besides the client: nobody who could be locked out by it.
NOBODY = "password-link"


def kept(token: str, account: Account) -> str:
    """What the table keeps of a token."""
    return hashlib.sha256(f"{token}:{account.password_hash}".encode()).hexdigest()


def create_link(session: Session, actor: Actor, account: Account) -> str:
    """A token that sets the account's password once; an earlier one ends. It is kept nowhere."""
    session.flush()
    old = belongs(PasswordLink, account) | (PasswordLink.expires_at < utc_now())
    session.execute(delete(PasswordLink).where(old))
    token = f"{kind_of(account)}-{account.id}-{secrets.token_urlsafe(32)}"
    row = PasswordLink(token_hash=kept(token, account), expires_at=utc_now() + LASTS, **owner(account))
    session.add(row)
    record(session, actor, f"{kind_of(account)}.link", account.email)
    return token


def find_link(session: Session, token: str) -> tuple[PasswordLink, Account] | None:
    """The link with this token and whose it is, while it works."""
    parts = TOKEN.fullmatch(token)
    account = load(session, parts[1], int(parts[2])) if parts else None
    if account is None:
        return None
    works = (PasswordLink.used_at.is_(None), PasswordLink.expires_at > utc_now())
    mine = (belongs(PasswordLink, account), PasswordLink.token_hash == kept(token, account))
    row = session.scalar(select(PasswordLink).where(*mine, *works))
    return None if row is None else (row, account)


def use_link(
    session: Session, hasher: Hasher, token: str, new: str, again: str, client_address: str
) -> Account | None:
    """Set the password and end all sessions; None if the link does not work. Raises Refused."""
    found = find_link(session, token)
    if found is None:
        return None
    row, account = found
    set_password(hasher, account, new, again)
    unused = (PasswordLink.id == row.id, PasswordLink.used_at.is_(None))
    # Of two who send it at once, one.
    if not session.execute(update(PasswordLink).where(*unused).values(used_at=utc_now())).rowcount:  # type: ignore[attr-defined]
        session.rollback()
        return None
    account.sessions_ended_at = utc_now()
    if isinstance(account, Mailbox):
        end_app_passwords(session, account)
    record(session, Actor(account.email, client_address), "password.link", account.email)
    return account


def check_guesses(session: Session, client_address: str) -> None:
    """Raise Throttled after as many wrong tries of a client as at the log-in, which count together."""
    wrong = logins.failures(session, logins.from_client(client_address), LoginAttempt.device == "")
    if wrong >= logins.MOST_FROM_CLIENT:
        raise logins.Throttled


def count_guess(database: Database, client_address: str) -> None:
    """Remember a link that does not work."""
    logins.count_failure(database, NOBODY, client_address)
