"""Mailboxes: add, change password and quota, enable, disable, delete."""

from __future__ import annotations

from sqlalchemy import Select, func, select
from sqlalchemy.orm import Session

from usermgmt.addresses import parse_own_address
from usermgmt.database import lock_directory
from usermgmt.models import Mailbox
from usermgmt.passwords import Hasher, check_password
from usermgmt.problems import Collector, Missing, Problem, Refused
from usermgmt.quota import parse_quota
from usermgmt.services.audit import Actor, record
from usermgmt.services.directory import (
    alias_exists,
    mailbox_exists,
    refuse_if_needed,
    require_domain,
    save,
)

PAGE = 50
LONGEST_NAME = 100


def contains(text: str) -> str:
    """A LIKE pattern for text anywhere, taken literally."""
    escaped = text.strip().lower().replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return f"%{escaped}%"


def matching(search: str) -> Select[tuple[Mailbox]]:
    """Mailboxes whose address or name contains the text."""
    query = select(Mailbox)
    if search.strip():
        pattern = contains(search)
        named = func.lower(Mailbox.display_name).like(pattern, escape="\\")
        query = query.where(Mailbox.email.like(pattern, escape="\\") | named)
    return query


def list_mailboxes(session: Session, search: str = "", page: int = 1) -> tuple[list[Mailbox], int]:
    """One page (from 1) of at most PAGE mailboxes by address, and how many match in all."""
    query = matching(search)
    total = session.scalar(select(func.count()).select_from(query.subquery())) or 0
    rows = session.scalars(query.order_by(Mailbox.email).limit(PAGE).offset((max(page, 1) - 1) * PAGE))
    return list(rows), total


def get_mailbox(session: Session, mailbox_id: int) -> Mailbox:
    """The mailbox with this id; raises Missing."""
    mailbox = session.get(Mailbox, mailbox_id)
    if mailbox is None:
        raise Missing(
            Problem("email", str(mailbox_id), "There is no such mailbox.", "Choose one from the list.")
        )
    return mailbox


def parse_name(value: str) -> str:
    """A person's name for the list of mailboxes, may be empty; raises Refused."""
    name = " ".join(value.split())
    if len(name) > LONGEST_NAME or not name.isprintable():
        raise Refused(
            Problem(
                "display_name",
                value[:LONGEST_NAME],
                "The name is too long or has an invisible character.",
                "Use at most 100 visible characters.",
            )
        )
    return name


def add_mailbox(
    session: Session, actor: Actor, hasher: Hasher, email: str, password: str, quota: str, name: str = ""
) -> Mailbox:
    """Create a mailbox that can log in and receive at once; raises Refused with every problem."""
    wrong = Collector()
    address, quota_bytes, display_name = "", 0, ""
    with wrong:
        address = parse_own_address(email, "email")
    with wrong:
        quota_bytes = parse_quota(quota)
    with wrong:
        display_name = parse_name(name)
    with wrong:
        check_password(password, address)
    lock_directory(session)
    taken = Problem("email", email, "This mailbox is already here.", "Choose it from the list to change it.")
    if address:
        with wrong:
            require_domain(session, address, "email", email)
        with wrong:
            refuse_taken(session, address, taken)
    wrong.check()
    domain = require_domain(session, address, "email", email)
    mailbox = Mailbox(
        domain_id=domain.id,
        email=address,
        password_hash=hasher.hash_for_mailbox(password),
        display_name=display_name,
        quota_bytes=quota_bytes,
    )
    save(session, mailbox, taken)
    record(session, actor, "mailbox.add", address, quota_bytes=quota_bytes)
    return mailbox


def refuse_taken(session: Session, address: str, taken: Problem) -> None:
    """Refuse an address that a mailbox or an alias already has."""
    if mailbox_exists(session, address):
        raise Refused(taken)
    if alias_exists(session, address):
        raise Refused(
            Problem(
                "email",
                taken.value,
                "An alias already has this address.",
                "Delete the alias first, or use another address.",
            )
        )


def change_password(
    session: Session, actor: Actor, hasher: Hasher, mailbox_id: int, password: str
) -> Mailbox:
    """Set a new password; the old one stops to work at once. Raises Missing or Refused."""
    mailbox = get_mailbox(session, mailbox_id)
    check_password(password, mailbox.email)
    mailbox.password_hash = hasher.hash_for_mailbox(password)
    record(session, actor, "mailbox.password", mailbox.email)
    return mailbox


def change_details(session: Session, actor: Actor, mailbox_id: int, quota: str, name: str) -> Mailbox:
    """Set quota and name; raises Missing or Refused."""
    mailbox = get_mailbox(session, mailbox_id)
    wrong = Collector()
    before, quota_bytes, display_name = mailbox.quota_bytes, 0, ""
    with wrong:
        quota_bytes = parse_quota(quota)
    with wrong:
        display_name = parse_name(name)
    wrong.check()
    if (quota_bytes, display_name) != (before, mailbox.display_name):
        mailbox.quota_bytes, mailbox.display_name = quota_bytes, display_name
        record(session, actor, "mailbox.change", mailbox.email, quota_bytes=quota_bytes, quota_before=before)
    return mailbox


def set_mailbox_active(session: Session, actor: Actor, mailbox_id: int, active: bool) -> Mailbox:
    """Let a mailbox log in and receive, or stop it; its mail stays. Raises Missing."""
    mailbox = get_mailbox(session, mailbox_id)
    if mailbox.active != active:
        mailbox.active = active
        record(session, actor, "mailbox.enable" if active else "mailbox.disable", mailbox.email)
    return mailbox


def delete_mailbox(session: Session, actor: Actor, mailbox_id: int) -> str:
    """Delete the account, not the mail on disk; returns its address. Raises Missing or Refused."""
    lock_directory(session)
    mailbox = get_mailbox(session, mailbox_id)
    refuse_if_needed(session, mailbox.email)
    session.delete(mailbox)
    record(session, actor, "mailbox.delete", mailbox.email)
    return mailbox.email
