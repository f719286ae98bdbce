"""Domains: add, enable, disable, delete when empty."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import distinct, func, select
from sqlalchemy.orm import Session

from usermgmt.addresses import parse_domain
from usermgmt.database import lock_directory
from usermgmt.models import Alias, Domain, DomainDns, Mailbox
from usermgmt.problems import Collector, InUse, Missing, Problem, Refused, Taken
from usermgmt.quota import format_quota, parse_quota
from usermgmt.services import dns
from usermgmt.services.audit import Actor, change, record, refuse_outdated
from usermgmt.services.directory import find_domain, save
from usermgmt.services.removal import purge
from usermgmt.services.storage import given_by_domain


@dataclass(frozen=True)
class DomainRow:
    """A domain with what it holds."""

    domain: Domain
    mailboxes: int
    aliases: int
    #: Bytes of the quotas of its mailboxes.
    given: int
    #: How many of its DNS records were not as they should be, when mailctl last looked.
    wrong_records: int


def count_by_domain(session: Session, table: type[Mailbox] | type[Alias]) -> dict[int, int]:
    """Mailboxes or aliases for each domain id; an alias counts once, however many destinations it has."""
    address = Mailbox.id if table is Mailbox else Alias.source
    query = select(table.domain_id, func.count(distinct(address))).group_by(table.domain_id)
    query = query.where(Mailbox.deleted_at.is_(None)) if table is Mailbox else query
    return {domain_id: count for domain_id, count in session.execute(query)}


def list_domains(session: Session, scope: frozenset[int] | None = None) -> list[DomainRow]:
    """All domains by name, or those of `scope`."""
    mailboxes, aliases = count_by_domain(session, Mailbox), count_by_domain(session, Alias)
    given = given_by_domain(session)
    looked = {each.domain_id: each.records for each in session.scalars(select(DomainDns))}
    query = select(Domain).order_by(Domain.name)
    rows = session.scalars(query if scope is None else query.where(Domain.id.in_(scope)))
    return [
        DomainRow(
            row,
            mailboxes.get(row.id, 0),
            aliases.get(row.id, 0),
            given[row.id],
            dns.wrong(looked.get(row.id, [])),
        )
        for row in rows
    ]


def names_of(session: Session, scope: frozenset[int] | None = None, most: int | None = None) -> list[str]:
    """The names of all domains, or those of `scope`, or the first of them."""
    query = select(Domain.name).order_by(Domain.name).limit(most)
    return list(session.scalars(query if scope is None else query.where(Domain.id.in_(scope))))


def get_domain(session: Session, domain_id: int) -> Domain:
    """The domain with this id; raises Missing."""
    domain = session.get(Domain, domain_id)
    if domain is None:
        raise Missing(
            Problem("domain", str(domain_id), "There is no such domain.", "Choose one from the list.")
        )
    return domain


def add_domain(session: Session, actor: Actor, name: str) -> Domain:
    """Accept mail for a domain from now on; raises Refused."""
    stored = parse_domain(name)
    taken = Problem("name", name, "This domain is already here.", "Choose it from the list.")
    if find_domain(session, stored):
        raise Taken(taken)
    domain = Domain(name=stored)
    save(session, domain, taken)
    record(session, actor, "domain.add", stored)
    return domain


def set_domain_active(session: Session, actor: Actor, domain_id: int, active: bool) -> Domain:
    """Enable or disable a domain with all its mailboxes and aliases; raises Missing."""
    domain = get_domain(session, domain_id)
    if domain.active != active:
        domain.active = active
        record(session, actor, "domain.enable" if active else "domain.disable", domain.name)
    return domain


def parse_limit(value: str, field: str) -> int | None:
    """A number of mailboxes or aliases, None for no limit; raises Refused."""
    text = value.strip()
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and len(text) < 7):
        wrong, instead = "This is not a number.", "Use digits only, or leave it empty for no limit."
        raise Refused(Problem(field, value, wrong, instead))
    return int(text)


def parse_size(value: str, field: str) -> int | None:
    """A size, None for no limit; raises Refused."""
    return parse_quota(value, field) if value.strip() else None


#: The column of each limit, and how what was entered is read.
LIMITS: dict[str, tuple[str, Callable[[str, str], int | None]]] = {
    "default_quota": ("default_quota_bytes", parse_size),
    "largest_quota": ("largest_quota_bytes", parse_size),
    "storage": ("storage_bytes", parse_size),
    "most_mailboxes": ("most_mailboxes", parse_limit),
    "most_aliases": ("most_aliases", parse_limit),
}


def change_domain(
    session: Session, actor: Actor, domain_id: int, entered: Mapping[str, str], version: int | None = None
) -> Domain:
    """Set the LIMITS that are entered; an empty one is no limit. Raises Missing or Refused."""
    domain = get_domain(session, domain_id)
    collected = Collector()
    after: dict[str, Any] = {}
    for field, (column, read) in LIMITS.items():
        if field in entered:
            with collected:
                after[column] = read(entered[field], field)
    collected.check()
    usual, largest = (
        after.get(name, getattr(domain, name)) for name in ("default_quota_bytes", "largest_quota_bytes")
    )
    if usual and largest and usual > largest:
        wrong, instead = "The default is more than the largest quota.", "Raise that, or lower the default."
        raise Refused(Problem("default_quota", format_quota(usual), wrong, instead))
    refuse_outdated("version", domain.name, domain.version, version)
    change(session, actor, "domain.change", domain.name, domain, after)
    return domain


def delete_domain(session: Session, actor: Actor, domain_id: int) -> str:
    """Delete a domain that holds nothing; returns its name. Raises Missing or Refused."""
    lock_directory(session)
    purge(session)
    domain = get_domain(session, domain_id)
    held = (
        select(func.count(Mailbox.id)).where(Mailbox.domain_id == domain.id, Mailbox.deleted_at.is_(None)),
        select(func.count(distinct(Alias.source))).where(Alias.domain_id == domain.id),
        select(func.count(Mailbox.id)).where(Mailbox.domain_id == domain.id, Mailbox.deleted_at.isnot(None)),
    )
    mailboxes, aliases, deleted = (session.scalar(query) or 0 for query in held)
    if mailboxes or aliases:
        raise InUse(
            Problem(
                "name",
                domain.name,
                "Something is still in the domain: mailboxes {mailboxes}, aliases {aliases}.",
                "Delete those first, or disable the domain.",
                {"mailboxes": str(mailboxes), "aliases": str(aliases)},
            )
        )
    if deleted:
        raise InUse(
            Problem(
                "name",
                domain.name,
                "Deleted mailboxes of the domain can still be restored: {count}.",
                "Delete them for good first, or disable the domain.",
                {"count": str(deleted)},
            )
        )
    session.delete(domain)
    record(session, actor, "domain.delete", domain.name)
    return domain.name
