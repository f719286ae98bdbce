"""Aliases: an address (or all of a domain) that hands its mail on to one or more others."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Integer, cast, distinct, func, select
from sqlalchemy.orm import Session

from usermgmt.addresses import domain_of, parse_alias_source, parse_destinations, untagged
from usermgmt.database import lock_directory
from usermgmt.models import Alias, Domain, Mailbox
from usermgmt.problems import CHANGED_MEANWHILE, Collector, Conflict, Missing, Problem, Refused, Taken
from usermgmt.services.audit import Actor, record
from usermgmt.services.directory import (
    alias_exists,
    destinations_of,
    mailbox_exists,
    refuse_if_needed,
    require_domain,
    save,
)
from usermgmt.services.graph import Graph, check_destination
from usermgmt.services.mail_rules import cut_forwards
from usermgmt.services.mailboxes import PAGE, address_holds, total

MOST_DESTINATIONS = 100
#: An alias is on while one of its destinations is.
STATES = {
    "enabled": func.max(cast(Alias.active, Integer)) == 1,
    "disabled": func.max(cast(Alias.active, Integer)) == 0,
    "catch-all": Alias.source.startswith("@"),
}


@dataclass(frozen=True)
class AliasRow:
    """A source with all its destinations."""

    source: str
    destinations: list[Alias]


def list_aliases(
    session: Session,
    search: str = "",
    page: int = 1,
    scope: frozenset[int] | None = None,
    size: int = PAGE,
    only: str = "",
    domain: str = "",
    state: str = "",
    order: str = "",
) -> tuple[list[AliasRow], int]:
    """One page (from 1) of at most `size` sources, and how many match in all.

    `scope`: of these domains; `only`: this source; `state`: one of STATES; `order`: `destinations` by their
    number, with a minus the most first, else by address, with a minus backwards.
    """
    query = select(Alias.source).group_by(Alias.source)
    query = query if scope is None else query.where(Alias.domain_id.in_(scope))
    query = query.where(Alias.source == only) if only else query
    if domain:
        named = select(Domain.id).where(Domain.name == domain).scalar_subquery()
        query = query.where(Alias.domain_id == named)
    if state in STATES:
        query = query.having(STATES[state])
    column = func.count(Alias.id) if order.endswith("destinations") else Alias.source
    by = (column.desc() if order.startswith("-") else column.asc(), Alias.source)
    if search.strip():
        query = query.where(address_holds(Alias.source, search) | address_holds(Alias.destination, search))
    sources = list(session.scalars(query.order_by(*by).limit(size).offset((max(page, 1) - 1) * size)))
    rows: dict[str, list[Alias]] = {source: [] for source in sources}
    for alias in session.scalars(select(Alias).where(Alias.source.in_(sources)).order_by(Alias.destination)):
        rows[alias.source].append(alias)
    in_all = total(session, query, len(sources), page, size)
    return [AliasRow(source, found) for source, found in rows.items()], in_all


def mailboxes_among(session: Session, rows: list[AliasRow]) -> set[str]:
    """The destinations that are mailboxes: only such can send as the alias."""
    wanted = {alias.destination for row in rows for alias in row.destinations}
    return set(session.scalars(select(Mailbox.email).where(Mailbox.email.in_(wanted))))


def get_alias(session: Session, alias_id: int) -> Alias:
    """The alias row with this id; raises Missing."""
    alias = session.get(Alias, alias_id)
    if alias is None:
        raise Missing(
            Problem("source", str(alias_id), "There is no such alias.", "Choose one from the list.")
        )
    return alias


def check_source(session: Session, actor: Actor, source: str, entered: str) -> None:
    """Refuse a source outside this server's domains or one that would hide a mailbox."""
    require_domain(session, actor, source, "source", entered)
    if mailbox_exists(session, source):
        raise Taken(
            Problem(
                "source",
                entered,
                "A mailbox already has this address; the alias would take its mail away.",
                "Use another address, or let the owner forward mail with a filter in webmail.",
            )
        )


def add_alias(
    session: Session,
    actor: Actor,
    source: str,
    destinations: str,
    graph: Graph | None = None,
    may_send: bool = True,
) -> list[Alias]:
    """Forward mail for `source` to each destination; raises Refused with every problem.

    Destinations outside are the edge's to forward to, beside one of this server, where each mail stays.
    With `may_send` destinations that are mailboxes may send as the source, too. Whoever adds many passes a
    complete `graph`, which is kept up to date.
    """
    wrong = Collector()
    stored, addresses = "", []
    with wrong:
        stored = parse_alias_source(source)
    with wrong:
        addresses = parse_destinations(destinations)
    lock_directory(session)
    if stored:
        with wrong:
            check_source(session, actor, stored, source)
        graph = graph or Graph(session)
        graph.load([stored, *map(untagged, addresses)])
        for address in addresses:
            with wrong:
                check_destination(graph, stored, address)
        with wrong:
            check_amount(session, stored, addresses, destinations)
        present = [*destinations_of(session, stored, only_active=True), *addresses]
        with wrong:
            refuse_only_outside(graph, stored, present, "destinations", destinations)
    wrong.check()
    domain = require_domain(session, actor, stored, "source", source)
    check_limit(session, domain, stored, source)
    if graph:
        graph.aliases.setdefault(stored, {}).update(dict.fromkeys(addresses, True))
    return [add_destination(session, actor, domain.id, stored, address, may_send) for address in addresses]


def refuse_only_outside(graph: Graph, source: str, destinations: list[str], field: str, entered: str) -> None:
    """Refuse an alias whose mail would stay nowhere: what cannot be forwarded outside would be lost."""
    graph.load(map(untagged, destinations))
    outside = [each for each in destinations if domain_of(each) not in graph.domains]
    if outside and len(outside) == len(destinations):
        wrong = (
            "The alias {source} would lead outside this server alone: what cannot be forwarded would be lost."
        )
        instead = "Add a mailbox of this server to its destinations; each mail stays there as well."
        raise Refused(Problem(field, entered[:80], wrong, instead, {"source": source}))


def keep_one_here(session: Session, source: str) -> None:
    """Refuse a change after which an alias would lead outside alone."""
    session.flush()
    left = destinations_of(session, source, only_active=True)
    refuse_only_outside(Graph(session), source, left, "source", source)


def check_limit(session: Session, domain: Domain, source: str, entered: str) -> None:
    """Refuse a new alias beyond what the domain may have."""
    if domain.most_aliases is None or alias_exists(session, source):
        return
    query = select(func.count(distinct(Alias.source))).where(Alias.domain_id == domain.id)
    if (session.scalar(query) or 0) >= domain.most_aliases:
        wrong = "The domain has all the aliases that it may have."
        instead = "Delete one, or ask an owner for more."
        raise Refused(Problem("source", entered, wrong, instead))


def check_amount(session: Session, source: str, addresses: list[str], entered: str) -> None:
    """Refuse destinations that are there already, and more than postfix should expand."""
    present = destinations_of(session, source)
    for address in addresses:
        if address in present:
            raise Taken(
                Problem(
                    "destinations",
                    address,
                    "The alias {source} already leads there.",
                    "Remove it from your list, or enable it if it is disabled.",
                    {"source": source},
                )
            )
    if len(present) + len(addresses) > MOST_DESTINATIONS:
        wrong = "The alias would have more than 100 destinations."
        raise Refused(
            Problem("destinations", entered[:80], wrong, "Use a mailing list program for so many people.")
        )


def add_destination(
    session: Session, actor: Actor, domain_id: int, source: str, destination: str, may_send: bool
) -> Alias:
    """Write one row of an alias that was checked."""
    alias = Alias(domain_id=domain_id, source=source, destination=destination, may_send=may_send)
    taken = Problem(
        "destinations",
        destination,
        "The alias {source} already leads there.",
        "Choose it from the list.",
        {"source": source},
    )
    save(session, alias, taken)
    record(session, actor, "alias.add", source, destination=destination, may_send=may_send)
    return alias


def set_catch_all(session: Session, actor: Actor, domain: Domain, destinations: str, seen: str) -> None:
    """Let these addresses, and only these, take what nothing else of the domain takes; none: it is refused.

    `seen` are the destinations that the person who changes them was shown. Raises Refused or Conflict.
    """
    lock_directory(session)
    source = "@" + domain.name
    before = list(session.scalars(select(Alias).where(Alias.source == source)))
    present = [row.destination for row in before]
    if sorted(seen.split()) != sorted(present):
        raise Conflict(Problem("version", source, *CHANGED_MEANWHILE))
    wanted = parse_destinations(destinations) if destinations.strip() else []
    new = [address for address in wanted if address not in present]
    if new:
        add_alias(session, actor, source, " ".join(new))
    for row in before:
        if row.destination not in wanted:
            delete_alias(session, actor, row.id)


def set_alias_active(session: Session, actor: Actor, alias_id: int, active: bool) -> Alias:
    """Enable or disable one destination; raises Missing."""
    alias = get_alias(session, alias_id)
    if alias.active != active:
        alias.active = active
        action = "alias.enable" if active else "alias.disable"
        record(session, actor, action, alias.source, destination=alias.destination)
        keep_one_here(session, alias.source)
    return alias


def set_alias_may_send(session: Session, actor: Actor, alias_id: int, may_send: bool) -> Alias:
    """Let the destination, if it is a mailbox, send as the source, or not; raises Missing."""
    alias = get_alias(session, alias_id)
    if alias.may_send != may_send:
        alias.may_send = may_send
        action = "alias.may-send" if may_send else "alias.may-not-send"
        record(session, actor, action, alias.source, destination=alias.destination)
    return alias


def delete_alias(session: Session, actor: Actor, alias_id: int) -> Alias:
    """Delete one destination; the last one only if no other alias leads here. Raises Missing or Refused."""
    lock_directory(session)
    alias = get_alias(session, alias_id)
    if len(destinations_of(session, alias.source)) == 1:
        refuse_if_needed(session, alias.source)
        cut_forwards(session, actor, alias.source)
    session.delete(alias)
    record(session, actor, "alias.delete", alias.source, destination=alias.destination)
    keep_one_here(session, alias.source)
    return alias
