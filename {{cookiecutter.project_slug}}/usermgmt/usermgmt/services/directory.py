"""Questions about addresses that more than one service asks, and the graph that aliases form."""

from __future__ import annotations

from sqlalchemy import distinct, func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from usermgmt.addresses import domain_of, untagged
from usermgmt.models import Alias, Domain, Mailbox
from usermgmt.problems import Problem, Refused


def find_domain(session: Session, name: str) -> Domain | None:
    """The domain with this stored name."""
    return session.scalar(select(Domain).where(Domain.name == name))


def require_domain(session: Session, address: str, field: str, value: str) -> Domain:
    """The domain of a stored address; raises Refused if this server does not have it."""
    name = domain_of(address)
    domain = find_domain(session, name)
    if domain is None:
        raise Refused(
            Problem(
                field,
                value,
                "The domain {domain} is not on this server.",
                "Add the domain first, or use an address in one of yours.",
                {"domain": name},
            )
        )
    return domain


def mailbox_exists(session: Session, address: str) -> bool:
    """Whether a mailbox, enabled or not, has this address."""
    return session.scalar(select(Mailbox.id).where(Mailbox.email == address)) is not None


def alias_exists(session: Session, source: str) -> bool:
    """Whether an alias, enabled or not, has this source."""
    return session.scalar(select(Alias.id).where(Alias.source == source).limit(1)) is not None


def destinations_of(session: Session, source: str) -> list[str]:
    """Where an alias leads; disabled rows count, for they can be enabled at any time."""
    return list(session.scalars(select(Alias.destination).where(Alias.source == source)))


def next_hops(session: Session, address: str) -> list[str]:
    """The addresses that mail for `address` is forwarded to, as postfix looks them up."""
    if mailbox_exists(session, address):
        return []
    found = destinations_of(session, address) or destinations_of(session, "@" + domain_of(address))
    return [untagged(destination) for destination in found]


def loops_back(session: Session, source: str, destination: str) -> bool:
    """Whether mail to `source` would come back to it if it led to `destination`."""
    catch_all = source.startswith("@")

    def is_source(address: str) -> bool:
        if not catch_all:
            return address == source
        own = domain_of(address) == source[1:]
        return own and not mailbox_exists(session, address) and not alias_exists(session, address)

    seen: set[str] = set()
    waiting = [untagged(destination)]
    while waiting:
        address = waiting.pop()
        if is_source(address):
            return True
        if address not in seen:
            seen.add(address)
            waiting.extend(next_hops(session, address))
    return False


def dependents(session: Session, address: str) -> list[str]:
    """Sources of aliases that lead to `address`, or through it if it is a catch-all."""
    inside = Alias.destination.endswith("@" + domain_of(address), autoescape=True)
    found = set()
    for source, destination in session.execute(select(Alias.source, Alias.destination).where(inside)):
        target = untagged(destination)
        if address.startswith("@"):
            leads_here = not mailbox_exists(session, target) and not alias_exists(session, target)
        else:
            leads_here = target == address
        if leads_here:
            found.add(source)
    return sorted(found)


def refuse_if_needed(session: Session, address: str) -> None:
    """Refuse to remove an address that aliases lead to."""
    sources = dependents(session, address)
    if sources:
        raise Refused(
            Problem(
                "email",
                address,
                "Aliases lead to this address: {sources}.",
                "Delete those aliases first, or give them another destination.",
                {"sources": ", ".join(sources[:5]) + (" …" if len(sources) > 5 else "")},
            )
        )


def save(session: Session, row: object, taken: Problem) -> None:
    """Write a new row now; a row that someone else wrote first is refused with `taken`."""
    session.add(row)
    try:
        session.flush()
    except IntegrityError as error:
        raise Refused(taken) from error


def counts(session: Session) -> dict[str, int]:
    """How many domains, mailboxes and aliases there are, and how many of them are disabled."""
    found: dict[str, int] = {}
    for name, table in (("domains", Domain), ("mailboxes", Mailbox)):
        found[name] = session.scalar(select(func.count()).select_from(table)) or 0
        disabled = select(func.count()).select_from(table).where(table.active.is_(False))
        found[name + "_disabled"] = session.scalar(disabled) or 0
    # An alias is an address, however many destinations it has; it is on while one of them is.
    sources = select(func.count(distinct(Alias.source)))
    found["aliases"] = session.scalar(sources) or 0
    found["aliases_disabled"] = found["aliases"] - (session.scalar(sources.where(Alias.active)) or 0)
    found["quota_bytes"] = int(session.scalar(select(func.sum(Mailbox.quota_bytes))) or 0)
    return found
