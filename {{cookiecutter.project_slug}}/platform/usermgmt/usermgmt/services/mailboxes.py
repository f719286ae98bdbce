"""Mailboxes: add, change password and quota, enable, disable. services/removal.py deletes and restores."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from sqlalchemy import ColumnElement, Integer, LargeBinary, Select, cast, func, literal_column, select
from sqlalchemy.orm import InstrumentedAttribute, Session

from usermgmt.addresses import parse_own_address
from usermgmt.database import lock_directory
from usermgmt.models import AuditEntry, Domain, Mailbox, utc_now
from usermgmt.passwords import Hasher, check_password
from usermgmt.problems import Collector, Missing, Problem, Refused, Taken
from usermgmt.quota import format_quota, parse_quota
from usermgmt.services.audit import Actor, change, record, refuse_outdated
from usermgmt.services.directory import alias_exists, require_domain, save
from usermgmt.services.placement import shard_of_new
from usermgmt.services.self_service import end_app_passwords
from usermgmt.services.storage import check_quota, usual_quota

PAGE = 50
LONGEST_NAME = 100


def contains(text: str) -> str:
    """A LIKE pattern for text anywhere, taken literally."""
    escaped = text.strip().lower().replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return f"%{escaped}%"


def address_holds(column: InstrumentedAttribute[str], text: str) -> ColumnElement[bool]:
    """Whether an address holds the text. It is stored in one way only, and comparing bytes is faster."""
    return func.instr(cast(column, LargeBinary), text.strip().lower().encode()) > 0


def total(session: Session, query: Select[Any], on_page: int, page: int, size: int = PAGE) -> int:
    """How many rows match in all. A first page that is not full says so itself: a search reads rows once."""
    if page <= 1 and on_page < size:
        return on_page
    # What is counted goes through memory: no wide columns.
    one = literal_column("1", Integer).label("one")
    narrow = query.with_only_columns(one, maintain_column_froms=True)
    return session.scalar(select(func.count()).select_from(narrow.subquery())) or 0


def matching(search: str, deleted: bool, scope: frozenset[int] | None) -> Select[tuple[int]]:
    """The numbers of the mailboxes whose address or name contains the text."""
    query = select(Mailbox.id).where(
        Mailbox.deleted_at.isnot(None) if deleted else Mailbox.deleted_at.is_(None)
    )
    # The index holds all that is asked here; left alone, MariaDB takes another one and fetches every row.
    query = query.with_hint(Mailbox, "FORCE INDEX (ix_mailboxes_search)", "mariadb")
    if search.strip():
        named = Mailbox.display_name.like(contains(search), escape="\\")
        query = query.where(address_holds(Mailbox.email, search) | named)
    return query if scope is None else query.where(Mailbox.domain_id.in_(scope))


def list_mailboxes(
    session: Session,
    search: str = "",
    page: int = 1,
    deleted: bool = False,
    scope: frozenset[int] | None = None,
) -> tuple[list[Mailbox], int]:
    """One page (from 1) of at most PAGE mailboxes by address, and how many match in all.

    With `deleted`, those that can still be restored; with `scope`, those of these domains.
    """
    query = matching(search, deleted, scope)
    numbers = query.order_by(Mailbox.email).limit(PAGE).offset((max(page, 1) - 1) * PAGE).subquery()
    whole = select(Mailbox).join(numbers, numbers.c.id == Mailbox.id).order_by(Mailbox.email)
    rows = list(session.scalars(whole))
    return rows, total(session, query, len(rows), page)


def get_mailbox(session: Session, mailbox_id: int, deleted: bool = False) -> Mailbox:
    """The mailbox with this id, with `deleted` one that can be restored; raises Missing."""
    mailbox = session.get(Mailbox, mailbox_id)
    if mailbox is None or (mailbox.deleted_at is not None) is not deleted:
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


@dataclass(frozen=True)
class NewMailbox:
    """What a mailbox is made of, checked and hashed, before the directory is locked."""

    entered: str
    address: str
    password_hash: str
    display_name: str
    #: None: what the domain gives a new mailbox.
    quota_bytes: int | None
    problems: tuple[Problem, ...] = ()


def prepare_mailbox(hasher: Hasher, email: str, password: str, quota: str, name: str = "") -> NewMailbox:
    """Check what was entered. Slow, for the password is hashed here: no lock may be held meanwhile."""
    wrong = Collector()
    address, display_name, password_hash = "", "", ""
    quota_bytes: int | None = None
    with wrong:
        address = parse_own_address(email, "email")
    with wrong:
        quota_bytes = parse_quota(quota) if quota.strip() else None
    with wrong:
        display_name = parse_name(name)
    with wrong:
        check_password(password, address)
    if not wrong.problems:
        password_hash = hasher.hash_for_mailbox(password)
    return NewMailbox(email, address, password_hash, display_name, quota_bytes, tuple(wrong.problems))


def add_mailbox(
    session: Session, actor: Actor, hasher: Hasher, email: str, password: str, quota: str, name: str = ""
) -> Mailbox:
    """Create a mailbox that can log in and receive at once; raises Refused with every problem."""
    return add_prepared(session, actor, prepare_mailbox(hasher, email, password, quota, name))


def add_prepared(session: Session, actor: Actor, new: NewMailbox) -> Mailbox:
    """Create a mailbox that was prepared; raises Refused with every problem."""
    wrong = Collector()
    with wrong:
        if new.problems:
            raise Refused(new.problems)
    lock_directory(session)
    taken = Problem(
        "email", new.entered, "This mailbox is already here.", "Choose it from the list to change it."
    )
    if new.address:
        with wrong:
            check_limit(
                session, require_domain(session, actor, new.address, "email", new.entered), new.entered
            )
        with wrong:
            refuse_taken(session, new.address, taken)
    wrong.check()
    domain = require_domain(session, actor, new.address, "email", new.entered)
    quota = new.quota_bytes or usual_quota(domain)
    check_quota(session, actor, domain, quota, ("quota", format_quota(quota)))
    mailbox = Mailbox(
        domain_id=domain.id,
        email=new.address,
        password_hash=new.password_hash,
        display_name=new.display_name,
        quota_bytes=quota,
        home=free_home(session, new.address),
        shard=(shard := shard_of_new(session)),
        volume=shard,
    )
    save(session, mailbox, taken)
    record(session, actor, "mailbox.add", new.address, quota_bytes=mailbox.quota_bytes)
    return mailbox


def check_limit(session: Session, domain: Domain, entered: str) -> None:
    """Refuse a mailbox beyond what the domain may have."""
    query = select(func.count(Mailbox.id)).where(Mailbox.domain_id == domain.id, Mailbox.deleted_at.is_(None))
    if domain.most_mailboxes is not None and (session.scalar(query) or 0) >= domain.most_mailboxes:
        wrong, instead = (
            "The domain has all the mailboxes that it may have.",
            "Delete one, or ask an owner for more.",
        )
        raise Refused(Problem("email", entered, wrong, instead))


def free_home(session: Session, address: str) -> str | None:
    """The folder of a new mailbox: None for the usual one, another if somebody had the address before.

    The audit log forgets nothing, so it says how often an address was given away. A + cannot be in an own
    address: the folder is nobody else's.
    """
    erased = f"erased:{sha256(address.encode()).hexdigest()}"  # what mailctl erase leaves of an address
    given = (AuditEntry.subject.in_((address, erased)), AuditEntry.action == "mailbox.add")
    times = session.scalar(select(func.count(AuditEntry.id)).where(*given)) or 0
    local_part, _, domain = address.rpartition("@")
    return f"{domain}/{local_part}+{times + 1}" if times else None


def home_of(mailbox: Mailbox) -> str:
    """The folder of a mailbox below the mail root, as config/dovecot/dovecot.conf reads it."""
    local_part, _, domain = mailbox.email.rpartition("@")
    return mailbox.home or f"{domain}/{local_part}"


def refuse_taken(session: Session, address: str, taken: Problem) -> None:
    """Refuse an address that a mailbox or an alias already has."""
    mailbox = session.scalar(select(Mailbox).where(Mailbox.email == address))
    if mailbox is not None and mailbox.deleted_at is not None:
        raise Taken(
            Problem(
                "email",
                taken.value,
                "A deleted mailbox has this address and can still be restored.",
                "Restore it, or delete it for good first.",
            )
        )
    if mailbox is not None:
        raise Taken(taken)
    if alias_exists(session, address):
        raise Taken(
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
    """Set a new password; the old one, app passwords and sessions end at once. Raises Missing or Refused."""
    mailbox = get_mailbox(session, mailbox_id)
    check_password(password, mailbox.email)
    mailbox.password_hash = hasher.hash_for_mailbox(password)
    mailbox.sessions_ended_at = utc_now()
    end_app_passwords(session, mailbox)
    record(session, actor, "mailbox.password", mailbox.email)
    return mailbox


def change_details(
    session: Session, actor: Actor, mailbox_id: int, quota: str, name: str, version: int | None = None
) -> Mailbox:
    """Set quota and name; raises Missing or Refused. `version`: what the person who changes it has seen."""
    mailbox = get_mailbox(session, mailbox_id)
    wrong = Collector()
    after: dict[str, Any] = {}
    with wrong:
        after["quota_bytes"] = parse_quota(quota)
    with wrong:
        after["display_name"] = parse_name(name)
    wrong.check()
    refuse_outdated("version", mailbox.email, mailbox.version, version)
    size = after["quota_bytes"]
    check_quota(session, actor, mailbox.domain, size, ("quota", quota), mailbox.quota_bytes)
    change(session, actor, "mailbox.change", mailbox.email, mailbox, after)
    return mailbox


def set_mailbox_active(session: Session, actor: Actor, mailbox_id: int, active: bool) -> Mailbox:
    """Let a mailbox log in and receive, or stop it; its mail stays. Raises Missing."""
    mailbox = get_mailbox(session, mailbox_id)
    if mailbox.active != active:
        mailbox.active = active
        mailbox.sessions_ended_at = mailbox.sessions_ended_at if active else utc_now()
        record(session, actor, "mailbox.enable" if active else "mailbox.disable", mailbox.email)
    return mailbox
