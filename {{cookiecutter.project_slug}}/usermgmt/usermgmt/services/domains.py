"""Domains: add, enable, disable, delete when empty."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import distinct, func, select
from sqlalchemy.orm import Session

from usermgmt.addresses import parse_domain
from usermgmt.database import lock_directory
from usermgmt.models import Alias, Domain, Mailbox
from usermgmt.problems import Missing, Problem, Refused
from usermgmt.services.audit import Actor, record
from usermgmt.services.directory import find_domain, save


@dataclass(frozen=True)
class DomainRow:
    """A domain with what it holds."""

    domain: Domain
    mailboxes: int
    aliases: int


def count_by_domain(session: Session, table: type[Mailbox] | type[Alias]) -> dict[int, int]:
    """Mailboxes or aliases for each domain id; an alias counts once, however many destinations it has."""
    address = Mailbox.id if table is Mailbox else Alias.source
    query = select(table.domain_id, func.count(distinct(address))).group_by(table.domain_id)
    return {domain_id: count for domain_id, count in session.execute(query)}


def list_domains(session: Session) -> list[DomainRow]:
    """All domains by name."""
    mailboxes, aliases = count_by_domain(session, Mailbox), count_by_domain(session, Alias)
    rows = session.scalars(select(Domain).order_by(Domain.name))
    return [DomainRow(row, mailboxes.get(row.id, 0), aliases.get(row.id, 0)) for row in rows]


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
        raise Refused(taken)
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


def delete_domain(session: Session, actor: Actor, domain_id: int) -> str:
    """Delete a domain that holds nothing; returns its name. Raises Missing or Refused."""
    lock_directory(session)
    domain = get_domain(session, domain_id)
    mailboxes = count_by_domain(session, Mailbox).get(domain.id, 0)
    aliases = count_by_domain(session, Alias).get(domain.id, 0)
    if mailboxes or aliases:
        raise Refused(
            Problem(
                "name",
                domain.name,
                "The domain still holds {mailboxes} mailboxes and {aliases} aliases.",
                "Delete those first, or disable the domain.",
                {"mailboxes": str(mailboxes), "aliases": str(aliases)},
            )
        )
    session.delete(domain)
    record(session, actor, "domain.delete", domain.name)
    return domain.name
