"""Questions about addresses that more than one service asks."""

from __future__ import annotations

from sqlalchemy import Integer, cast, distinct, func, select, true
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from usermgmt.addresses import domain_of, untagged
from usermgmt.models import Alias, Domain, Mailbox
from usermgmt.problems import InUse, Problem, Refused, Taken
from usermgmt.services.audit import Actor


def find_domain(session: Session, name: str) -> Domain | None:
    """The domain with this stored name."""
    return session.scalar(select(Domain).where(Domain.name == name))


def require_domain(session: Session, actor: Actor, address: str, field: str, value: str) -> Domain:
    """The domain of a stored address; raises Refused if it is not here, or not the actor's."""
    name = domain_of(address)
    domain = find_domain(session, name)
    if domain is None or not actor.reaches(domain.id):
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
    """Whether a mailbox, enabled or not, or a deleted one that can be restored, has this address."""
    return session.scalar(select(Mailbox.id).where(Mailbox.email == address)) is not None


def alias_exists(session: Session, source: str) -> bool:
    """Whether an alias, enabled or not, has this source."""
    return session.scalar(select(Alias.id).where(Alias.source == source).limit(1)) is not None


def destinations_of(session: Session, source: str, only_active: bool = False) -> list[str]:
    """Where an alias leads; disabled rows count, for they can be enabled at any time."""
    query = select(Alias.destination).where(Alias.source == source)
    return list(session.scalars(query.where(Alias.active) if only_active else query))


def dependents(session: Session, address: str) -> list[str]:
    """Sources of aliases that lead to `address`, or through it if it is a catch-all. Three queries."""
    domain = domain_of(address)
    rows = select(Alias.source, Alias.destination)
    if not address.startswith("@"):
        tagged = Alias.destination.startswith(address.rpartition("@")[0] + "+", autoescape=True)
        rows = rows.where((Alias.destination == address) | tagged)
        return sorted({source for source, found in session.execute(rows) if untagged(found) == address})
    rows = rows.where(Alias.destination.endswith("@" + domain, autoescape=True))
    found = [(source, untagged(destination)) for source, destination in session.execute(rows)]
    if not found:
        return []
    inside = select(Domain.id).where(Domain.name == domain).scalar_subquery()
    known = set(session.scalars(select(Mailbox.email).where(Mailbox.domain_id == inside)))
    known |= set(session.scalars(select(Alias.source).where(Alias.domain_id == inside)))
    return sorted({source for source, target in found if target not in known})


def refuse_if_needed(session: Session, address: str) -> None:
    """Refuse to remove an address that aliases lead to."""
    sources = dependents(session, address)
    if sources:
        raise InUse(
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
        raise Taken(taken) from error


def counts(session: Session, scope: frozenset[int] | None = None) -> dict[str, int]:
    """How many domains, mailboxes and aliases there are in `scope`, and how many of them are disabled."""
    found: dict[str, int] = {}
    own_domains, in_own_domains, own_aliases = (
        true() if scope is None else column.in_(scope)
        for column in (Domain.id, Mailbox.domain_id, Alias.domain_id)
    )
    own_boxes = (in_own_domains, Mailbox.deleted_at.is_(None))
    for name, query in (
        ("domains", select(func.count(Domain.id), func.sum(cast(Domain.active, Integer))).where(own_domains)),
        (
            "mailboxes",
            select(func.count(Mailbox.id), func.sum(cast(Mailbox.active, Integer))).where(*own_boxes),
        ),
    ):
        rows, active = session.execute(query).one()
        found[name], found[name + "_disabled"] = rows, rows - int(active or 0)
    # An alias is an address, however many destinations it has; it is on while one of them is.
    sources = select(func.count(distinct(Alias.source))).where(own_aliases)
    found["aliases"] = session.scalar(sources) or 0
    found["aliases_disabled"] = found["aliases"] - (session.scalar(sources.where(Alias.active)) or 0)
    quotas = select(func.sum(Mailbox.quota_bytes)).where(*own_boxes)
    found["quota_bytes"] = int(session.scalar(quotas) or 0)
    return found
