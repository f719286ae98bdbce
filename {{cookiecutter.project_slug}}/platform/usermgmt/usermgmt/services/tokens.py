"""Tokens of programs for the JSON API: each has scopes, and ends with the admin whose it is."""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from datetime import timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from usermgmt.addresses import parse_address, parse_domain
from usermgmt.models import LARGEST_ID, Admin, ApiToken, utc_now
from usermgmt.permissions import SCOPES
from usermgmt.problems import Collector, Missing, Problem, Refused
from usermgmt.services.admins import find_admin
from usermgmt.services.audit import Actor, record
from usermgmt.services.directory import find_domain
from usermgmt.services.self_service import LONGEST_LABEL, parse_label
from usermgmt.services.web_sessions import SEEN_EVERY, digest

#: So that a program that looks for leaked secrets finds one.
PREFIX = "usermgmt_"
MOST_DAYS = 3650


def parse_scopes(words: Iterable[str]) -> str:
    """The words that a token may do, in the table's order; raises Refused."""
    chosen = set(words)
    for word in sorted(chosen - set(SCOPES)):
        wrong, instead = "There is no such scope.", "Use some of: {scopes}."
        raise Refused(Problem("scopes", word[:LONGEST_LABEL], wrong, instead, {"scopes": ", ".join(SCOPES)}))
    if not chosen:
        wrong, instead = "A token without a scope can do nothing.", "Choose at least one."
        raise Refused(Problem("scopes", "", wrong, instead))
    return " ".join(word for word in SCOPES if word in chosen)


def parse_days(value: str) -> int | None:
    """For how many days a token is valid, None for ever; raises Refused."""
    text = value.strip()
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and len(text) < 5 and 0 < int(text) <= MOST_DAYS):
        wrong, instead = "This is not a number of days.", "Use 1 to 3650, or leave it empty for no end."
        raise Refused(Problem("days", value[:LONGEST_LABEL], wrong, instead))
    return int(text)


def admin_named(session: Session, email: str) -> Admin:
    """The admin whose token it shall be; raises Missing."""
    found = find_admin(session, parse_address(email, "admin"))
    if found is None:
        raise Missing(Problem("admin", email, "There is no such admin.", "Use `admin add` to create one."))
    return found


def add_token(
    session: Session, actor: Actor, admin: Admin, name: str, scopes: Iterable[str], domain: str, days: str
) -> str:
    """The secret of a new token, as make_token makes it."""
    return make_token(session, actor, admin, name, scopes, domain, days)[0]


def make_token(
    session: Session, actor: Actor, admin: Admin, name: str, scopes: Iterable[str], domain: str, days: str
) -> tuple[str, ApiToken]:
    """A token of the admin, for one domain or all of theirs: its secret, which is kept nowhere, and its row.

    Raises Refused with every problem.
    """
    wrong = Collector()
    label, words, within, valid = "", "", None, None
    with wrong:
        label = parse_label(name)
    with wrong:
        words = parse_scopes(scopes)
    with wrong:
        within = find_domain(session, parse_domain(domain, "domain")) if domain.strip() else None
        if domain.strip() and within is None:
            raise Refused(Problem("domain", domain, "There is no such domain.", "Choose one from the list."))
    with wrong:
        valid = parse_days(days)
    wrong.check()
    token = PREFIX + secrets.token_urlsafe(32)
    row = ApiToken(admin=admin, domain=within, name=label, token_hash=digest(token), scopes=words)
    row.expires_at = utc_now() + timedelta(days=valid) if valid else None
    session.add(row)
    domains = within.name if within else "all"
    record(session, actor, "token.add", admin.email, name=label, scopes=words, domain=domains)
    session.flush()
    return token, row


def find_token(session: Session, token: str) -> ApiToken | None:
    """The row of a token that is still valid; marks it as used."""
    row = session.scalar(select(ApiToken).where(ApiToken.token_hash == digest(token)))
    now = utc_now()
    if row is None or (row.expires_at and row.expires_at <= now):
        return None
    if row.last_used_at is None or now - row.last_used_at > SEEN_EVERY:
        row.last_used_at = now
    return row


def list_tokens(session: Session) -> list[ApiToken]:
    """Every token, newest first."""
    return list(session.scalars(select(ApiToken).order_by(ApiToken.id.desc())))


def get_token(session: Session, token_id: int) -> ApiToken:
    """The token with this number; raises Missing."""
    row = session.get(ApiToken, token_id) if token_id <= LARGEST_ID else None
    if row is None:
        raise Missing(Problem("token", str(token_id), "There is no such token.", "Choose one from the list."))
    return row


def revoke_token(session: Session, actor: Actor, token_id: int) -> str:
    """End a token at once; returns its name. Raises Missing."""
    row = get_token(session, token_id)
    session.delete(row)
    record(session, actor, "token.revoke", row.admin.email, name=row.name)
    return row.name
