"""Logging in: password check, throttle and the end of sessions, all from the audit log.

The log is shared by all workers and survives a restart, so a throttle that counts its rows does too.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.orm import Session

from usermgmt.addresses import parse_address
from usermgmt.database import Database
from usermgmt.models import Admin, AuditEntry, utc_now
from usermgmt.passwords import Hasher
from usermgmt.problems import Refused
from usermgmt.services.admins import find_admin
from usermgmt.services.audit import Actor, record

WINDOW = timedelta(minutes=15)
MOST_FROM_CLIENT = 20
MOST_FOR_ADMIN = 100
MOST_FOR_ADMIN_FROM_CLIENT = 5
NETWORK_PREFIX = len("2001:0db8:0000:0000:")


class Throttled(Exception):
    """Too many wrong passwords lately; try again after WINDOW."""


@dataclass(frozen=True)
class Login:
    """A successful log-in."""

    admin: Admin
    at: datetime


def from_client(client_address: str) -> ColumnElement[bool]:
    """Rows of a client: an IPv4 address, or an IPv6 network of 64 bits, which is one subscriber."""
    if ":" in client_address:
        return AuditEntry.client_address.like(client_address[:NETWORK_PREFIX] + "%")
    return AuditEntry.client_address == client_address


def failures(session: Session, *conditions: ColumnElement[bool]) -> int:
    """Attempts less successes within WINDOW."""

    def count(action: str) -> int:
        query = select(func.count()).select_from(AuditEntry)
        recent = AuditEntry.at > utc_now() - WINDOW
        return session.scalar(query.where(AuditEntry.action == action, recent, *conditions)) or 0

    return count("login.attempt") - count("login.success")


def check_throttle(session: Session, email: str, client_address: str, allowance: int = 0) -> None:
    """Raise Throttled if the limits are reached; `allowance` is the attempts already counted as one's own."""
    client, admin = from_client(client_address), AuditEntry.subject == email
    limits = (
        (MOST_FOR_ADMIN_FROM_CLIENT, (client, admin)),
        (MOST_FROM_CLIENT, (client,)),
        (MOST_FOR_ADMIN, (admin,)),
    )
    if any(failures(session, *which) - allowance >= most for most, which in limits):
        raise Throttled


def announce_attempt(database: Database, email: str, client_address: str) -> None:
    """Count an attempt before the password is looked at, so that parallel guesses count too."""
    with database.transaction() as session:
        check_throttle(session, email, client_address)
        record(session, Actor("anonymous", client_address), "login.attempt", email)
    with database.transaction() as session:
        check_throttle(session, email, client_address, allowance=1)


def log_in(
    database: Database, hasher: Hasher, email: str, password: str, client_address: str
) -> Login | None:
    """Check an address and a password; None if they are wrong. Raises Throttled."""
    try:
        address = parse_address(email, "email")
    except Refused:
        address = "invalid"
    announce_attempt(database, address, client_address)
    with database.transaction() as session:
        admin = find_admin(session, address)
    usable = admin is not None and admin.active
    if not hasher.matches(password, admin.password_hash if admin and usable else None) or admin is None:
        return None
    moment = utc_now()
    with database.transaction() as session:
        record(session, Actor(address, client_address), "login.success", address)
    return Login(admin, moment)


def log_out(session: Session, actor: Actor) -> None:
    """End all sessions of an admin, also those whose cookie someone kept."""
    record(session, actor, "logout", actor.name)


def logged_out_since(session: Session, email: str, moment: datetime) -> bool:
    """Whether the admin logged out after `moment`."""
    query = select(AuditEntry.id).where(
        AuditEntry.subject == email, AuditEntry.action == "logout", AuditEntry.at >= moment
    )
    return session.scalar(query.limit(1)) is not None
