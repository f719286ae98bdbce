"""Logging in: password check, throttle and the end of sessions.

Attempts have a table of their own, shared by all workers: a throttle that counts its rows survives a restart,
strangers who guess cannot fill the audit log, and what the table holds is bounded.
"""

from __future__ import annotations

import hashlib
import hmac
import logging
import secrets
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import ColumnElement, delete, func, select, update
from sqlalchemy.orm import Session

from usermgmt.addresses import parse_address
from usermgmt.database import Database
from usermgmt.models import Admin, LoginAttempt, Mailbox, utc_now
from usermgmt.passwords import Hasher
from usermgmt.problems import Refused
from usermgmt.services.accounts import Account, authenticate
from usermgmt.services.audit import Actor, record

log = logging.getLogger("usermgmt.logins")

WINDOW = timedelta(minutes=15)
MOST_FROM_CLIENT = 20
MOST_FROM_DEVICE = 10
MOST_FOR_ACCOUNT = 100
#: The log-in page is public, so strangers can use up MOST_FOR_ACCOUNT: this is for who has not failed yet.
MOST_FOR_ACCOUNT_AT_FIRST = 1000
MOST_FOR_ACCOUNT_FROM_CLIENT = 5
#: Wrong attempts of strangers in WINDOW, at whatever accounts: what the table may grow by.
MOST_ALTOGETHER = 5000
KEEP_WRONG, KEEP_SUCCESS = timedelta(hours=1), timedelta(days=90)
RECENT = 10
#: Old rows that one attempt removes.
MOST_AT_ONCE = 100
#: An IPv6 network of 64 bits is one subscriber, one of 48 bits the most that comes with a rented server.
NETWORK_PREFIX, SITE_PREFIX = len("2001:0db8:0000:0000:"), len("2001:0db8:0000:")
PENDING, WRONG, SUCCESS = "pending", "wrong", "success"


class Throttled(Exception):
    """Too many wrong passwords lately; try again after WINDOW."""


@dataclass(frozen=True)
class Login:
    """A right password: whose, and the attempt that becomes a success with `finish`."""

    account: Account
    attempt: int


def device_mark(key: str, account: str, nonce: str = "") -> str:
    """What a browser keeps (a cookie) after a right password, to be told from strangers next time."""
    nonce = nonce or secrets.token_urlsafe(12)
    digest = hmac.new(key.encode(), f"device:{account}:{nonce}".encode(), hashlib.sha256).hexdigest()
    return f"{nonce}.{digest}"


def known_device(key: str, email: str, mark: str) -> str:
    """The name of the browser that shows a mark which this account got, or nothing."""
    nonce = mark.partition(".")[0]
    genuine = device_mark(key, email.strip().lower(), nonce) if nonce else ""
    return nonce if genuine and hmac.compare_digest(genuine.encode(), mark.encode()) else ""


def from_client(client_address: str, prefix: int = NETWORK_PREFIX) -> ColumnElement[bool]:
    """Rows of a client: an IPv4 address, or the IPv6 network of that prefix."""
    if ":" in client_address:
        return LoginAttempt.client_address.like(client_address[:prefix] + "%")
    return LoginAttempt.client_address == client_address


def failures(session: Session, *conditions: ColumnElement[bool]) -> int:
    """Attempts within WINDOW that did not succeed, or not yet."""
    recent = (LoginAttempt.at > utc_now() - WINDOW, LoginAttempt.outcome != SUCCESS)
    return session.scalar(select(func.count()).select_from(LoginAttempt).where(*recent, *conditions)) or 0


def is_known_client(session: Session, account: str, client_address: str) -> bool:
    """Whether somebody logged in to this account from there before."""
    right = (LoginAttempt.account == account, LoginAttempt.outcome == SUCCESS)
    query = select(LoginAttempt.id).where(*right, from_client(client_address)).limit(1)
    return bool(client_address) and session.scalar(query) is not None


def check_throttle(
    session: Session, account: str, client_address: str, device: str = "", allowance: int = 0
) -> None:
    """Raise Throttled if a limit is reached; `allowance` is the attempts already counted as one's own.

    A browser that logged in before, or set the password by a link, is counted by itself, and a client that
    logged in before is held back by wrong passwords of its own for this account only: however many strangers
    guess, at whatever accounts and from wherever, the owner gets in.
    """
    by_account, by_client = LoginAttempt.account == account, from_client(client_address)
    limits: list[tuple[int, tuple[ColumnElement[bool], ...]]]
    if device:
        limits = [(MOST_FROM_DEVICE, (by_account, LoginAttempt.device == device))]
    else:
        by_client = by_client & (LoginAttempt.device == "")
        limits = [(MOST_FOR_ACCOUNT_FROM_CLIENT, (by_account, by_client))]
        if not is_known_client(session, account, client_address):
            failed = failures(session, from_client(client_address, SITE_PREFIX)) - allowance > 0
            for_account = MOST_FOR_ACCOUNT if failed else MOST_FOR_ACCOUNT_AT_FIRST
            limits += [(MOST_FROM_CLIENT, (by_client,)), (for_account, (by_account,)), (MOST_ALTOGETHER, ())]
    if any(failures(session, *which) - allowance >= most for most, which in limits):
        raise Throttled


def forget_old(session: Session) -> None:
    """Remove the rows that nothing asks for any more, some at a time.

    By their numbers, in order: a deletion by time locks a range, and parallel guesses would end in deadlocks.
    """
    old: list[int] = []
    for outcome, keep in ((PENDING, KEEP_WRONG), (WRONG, KEEP_WRONG), (SUCCESS, KEEP_SUCCESS)):
        rows = select(LoginAttempt.id).where(
            LoginAttempt.outcome == outcome, LoginAttempt.at < utc_now() - keep
        )
        old += session.scalars(rows.limit(MOST_AT_ONCE))
    if old:
        session.execute(delete(LoginAttempt).where(LoginAttempt.id.in_(sorted(old))))


def announce_attempt(database: Database, account: str, client_address: str, device: str = "") -> int:
    """Count an attempt before the password is looked at, so that parallel guesses count too; its number."""
    with database.transaction() as session:
        check_throttle(session, account, client_address, device)
        forget_old(session)
        attempt = LoginAttempt(account=account, client_address=client_address, device=device)
        session.add(attempt)
        session.flush()
    with database.transaction() as session:
        check_throttle(session, account, client_address, device, allowance=1)
    return attempt.id


def begin(session: Session, account: Account, client_address: str, device: str, via: str) -> Login:
    """The log-in of somebody who was proven otherwise than by a password; `finish` makes it a success."""
    row = LoginAttempt(account=account.email, client_address=client_address, device=device, via=via)
    session.add(row)
    session.flush()
    return Login(account, row.id)


def note_outcome(session: Session, attempt: int, outcome: str) -> None:
    """Say how an announced attempt ended."""
    session.execute(update(LoginAttempt).where(LoginAttempt.id == attempt).values(outcome=outcome))


def log_in(
    database: Database,
    hasher: Hasher,
    kind: str,
    email: str,
    password: str,
    client_address: str,
    device: str = "",
) -> Login | None:
    """Check the address and password of an admin or a mailbox; None if they are wrong. Raises Throttled.

    `device` is what known_device() says of the browser's mark. The attempt counts against the account until
    `finish`: a right password with a wrong second factor is a failure too.
    """
    try:
        address = parse_address(email, "email")
    except Refused:
        address = "invalid"
    attempt = announce_attempt(database, address, client_address, device)
    with database.transaction() as session:
        account = authenticate(session, hasher, kind, address, password)
        if account is None:
            note_outcome(session, attempt, WRONG)
    if account is None:
        log.info("wrong password for %r from %s", address, client_address or "-")
        return None
    if hasher.is_outdated(account.password_hash):
        newer = hasher.hash(password) if isinstance(account, Admin) else hasher.hash_for_mailbox(password)
        with database.transaction() as session:
            account = session.merge(account)
            account.password_hash = newer
    return Login(account, attempt)


def finish(session: Session, attempt: int, account: Account, client_address: str) -> None:
    """Everything was right. Dovecot does the same for mail programs (config/dovecot/dovecot.conf)."""
    note_outcome(session, attempt, SUCCESS)
    if isinstance(account, Mailbox):
        # Not by the object: whoever edits the mailbox meanwhile is in nobody's way (its version stays).
        now = {"last_login_at": utc_now(), "updated_at": Mailbox.updated_at}
        session.execute(update(Mailbox).where(Mailbox.id == account.id).values(now))
    log.info("login.success for %r from %s", account.email, client_address or "-")


def count_failure(database: Database, account: str, client_address: str, device: str = "") -> None:
    """Remember a wrong second factor, or a wrong password of somebody who is logged in."""
    with database.transaction() as session:
        attempt = LoginAttempt(account=account, client_address=client_address, device=device, outcome=WRONG)
        session.add(attempt)


def recent_logins(session: Session, account: str) -> list[LoginAttempt]:
    """The newest log-ins of an account, and the newest attempts: strangers who guess push no log-in out."""
    newest = (LoginAttempt.at.desc(), LoginAttempt.id.desc())
    rows = select(LoginAttempt).where(LoginAttempt.account == account).order_by(*newest)
    right = LoginAttempt.outcome == SUCCESS
    found = [row for half in (right, ~right) for row in session.scalars(rows.where(half).limit(RECENT))]
    return sorted(found, key=lambda row: (row.at, row.id), reverse=True)


def log_out(session: Session, actor: Actor) -> None:
    """Note that somebody left."""
    record(session, actor, "logout", actor.name)
