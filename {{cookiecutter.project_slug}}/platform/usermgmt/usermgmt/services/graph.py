"""Where mail for an address goes: the graph that mailboxes, aliases and catch-alls form.

It is the same graph that config/postfix/sql walks. A known address, a mailbox or an alias, enabled or not,
ends the search: what is disabled or deleted leads nowhere, and its mail never goes to the catch-all. So
disabling only takes edges away, and a loop that could arise by enabling something is a loop already.

postmaster@ and abuse@ belong to a duty, not to a person: where they would reach nobody, the oldest mailbox of
the domain gets their mail, else the oldest here (RFC 2142). An alias gives the duty to somebody else.
"""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from usermgmt.addresses import domain_of, untagged
from usermgmt.models import Alias, Domain, Mailbox, MailRules
from usermgmt.problems import Problem, Refused
from usermgmt.services.directory import dependents

DUTIES = ("postmaster", "abuse")


def is_duty(address: str) -> bool:
    """Whether an address, with or without a +tag, is one of those."""
    return untagged(address).partition("@")[0] in DUTIES


def on_duty(session: Session, domain: str) -> str | None:
    """The mailbox that gets mail for postmaster@ and abuse@ of a domain while they lead to nobody else."""
    query = select(Mailbox.email).join(Mailbox.domain).where(Mailbox.active, Mailbox.deleted_at.is_(None))
    query = query.where(Domain.active).order_by(Domain.name != domain, Mailbox.id)
    return session.scalar(query.limit(1))


class Graph:
    """The part of the graph that was asked for so far; each step costs three queries, however wide."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.domains: dict[str, bool] = {}
        #: Address to whether mail is delivered there now, and the deleted ones.
        self.mailboxes: dict[str, bool] = {}
        self.deleted: set[str] = set()
        #: Mailbox to the addresses that its owner has its mail forwarded to.
        self.forwards: dict[str, list[str]] = {}
        #: The same for addresses outside this server, which the edge forwards to.
        self.outside_forwards: dict[str, list[str]] = {}
        #: Source to destination to whether that is enabled.
        self.aliases: dict[str, dict[str, bool]] = {}
        self._asked: set[str] = set()
        self._complete = False

    def load_all(self) -> Graph:
        """Read everything now, for work on thousands of addresses."""
        self._read(None)
        self._complete = True
        return self

    def load_ways(self, starts: Iterable[str]) -> Graph:
        """Read what `ends` asks for all of these addresses, together."""
        for _ in self._reach(starts, only_active=True):
            pass
        return self

    def load(self, addresses: Iterable[str]) -> None:
        """Read what is not known yet of these addresses and of their catch-alls."""
        wanted = {name for address in addresses for name in (address, "@" + domain_of(address))} - self._asked
        if wanted and not self._complete:
            self._read(wanted)
            self._asked |= wanted

    def _read(self, wanted: set[str] | None) -> None:
        boxes = select(Mailbox.email, Mailbox.active, Mailbox.deleted_at, MailRules.forward_to)
        boxes = boxes.add_columns(MailRules.forward_outside)
        boxes = boxes.outerjoin(MailRules, MailRules.mailbox_id == Mailbox.id)
        rows = select(Alias.source, Alias.destination, Alias.active)
        names = select(Domain.name, Domain.active)
        if wanted is not None:
            boxes, rows = boxes.where(Mailbox.email.in_(wanted)), rows.where(Alias.source.in_(wanted))
            names = names.where(Domain.name.in_({domain_of(name) for name in wanted}))
        for email, active, deleted_at, forward_to, outside in self.session.execute(boxes):
            self.mailboxes[email] = active and deleted_at is None
            self.forwards[email] = (forward_to or "").split()
            self.outside_forwards[email] = (outside or "").split()
            self.deleted |= {email} if deleted_at else set()
        for source, destination, active in self.session.execute(rows):
            self.aliases.setdefault(source, {})[destination] = active
        self.domains |= {name: active for name, active in self.session.execute(names)}

    def is_known(self, address: str) -> bool:
        """Whether a mailbox or an alias, enabled or not, has this address. It must have been loaded."""
        return address in self.mailboxes or address in self.aliases

    def hops(self, address: str, only_active: bool = False) -> list[str]:
        """The addresses that mail for a loaded address is forwarded to.

        What a mailbox forwards is a new delivery: it counts where loops are looked for, not for where
        Postfix delivers.
        """
        if address in self.mailboxes:
            return [] if only_active else self.forwards.get(address, [])
        found = self.aliases.get(address) or self.aliases.get("@" + domain_of(address), {})
        return [target for target, active in found.items() if active or not only_active]

    def _reach(self, starts: Iterable[str], only_active: bool = False) -> Iterable[str]:
        """Every address on the way from `starts`, each once, with +tags as they are written."""
        seen: set[str] = set()
        waiting = set(starts)
        while waiting:
            self.load(map(untagged, waiting))
            seen |= waiting
            yield from waiting
            following: set[str] = set()
            for bare in map(untagged, waiting):
                if not only_active or self.domains.get(domain_of(bare)):
                    following |= set(self.hops(bare, only_active))
            waiting = following - seen

    def loops_back(self, source: str, destinations: Iterable[str]) -> bool:
        """Whether mail to `source` would come back to it if it led to one of `destinations`."""
        for address in map(untagged, self._reach(destinations)):
            own = source.startswith("@") and domain_of(address) == source[1:] and not self.is_known(address)
            if own or address == source:
                return True
        return False

    def ends(self, address: str) -> set[str]:
        """The mailboxes here in which mail for `address` is delivered now. Empty: it is refused."""
        found = set()
        start = untagged(address)
        for place in self._reach([start], only_active=True):
            bare = untagged(place)
            if self.domains.get(domain_of(bare)) and self.mailboxes.get(bare):
                found.add(place)
        domain = domain_of(start)
        if not found and self.domains.get(domain) and is_duty(start):
            found = {one for one in (on_duty(self.session, domain),) if one}
        return found if domain in self.domains else set()

    def outside(self, address: str) -> set[str]:
        """The addresses elsewhere that mail for `address` is forwarded to as well, by aliases or people."""
        found: set[str] = set()
        seen: set[str] = set()
        waiting = {address}
        while waiting:
            seen |= waiting
            boxes = {untagged(end) for each in waiting for end in self.ends(each)}
            self.load(boxes)
            if boxes:
                found |= set(self._reach(map(untagged, waiting), only_active=True))
            following: set[str] = set()
            for box in boxes:
                found |= set(self.outside_forwards[box])
                following |= set(self.forwards[box])
            waiting = following - seen
        return {each for each in found if domain_of(each) not in self.domains}


def sources_towards(session: Session, addresses: Iterable[str]) -> set[str]:
    """Aliases from which mail may come to one of these mailboxes; those of others are not read.

    Disabled ones count, and all of the duties: `Graph.ends` says what leads where now.
    """
    tagged: dict[str, set[str]] = {}
    rows = select(Alias.source, Alias.destination)
    for source, destination in session.execute(rows.where(Alias.destination.contains("+"))):
        tagged.setdefault(untagged(destination), set()).add(source)
    found: set[str] = set()
    waiting = set(addresses)
    while waiting:
        direct = select(Alias.source).where(Alias.destination.in_(waiting))
        sources = {*session.scalars(direct)}.union(*(tagged.get(each, ()) for each in waiting))
        for each in waiting:
            sources |= {*dependents(session, each)} if each.startswith("@") else set()
        waiting = sources - found
        found |= waiting
    duties = or_(*(Alias.source.startswith(f"{duty}@") for duty in DUTIES))
    return found | {*session.scalars(select(Alias.source).where(duties))}


def check_destination(graph: Graph, source: str, destination: str, field: str = "destinations") -> None:
    """Refuse a destination that comes back to the source, or leads nowhere on this server.

    One that is outside is the edge's to forward to (services/outside.py), but not for a catch-all.
    """
    bare = untagged(destination)
    graph.load([bare])
    if graph.loops_back(source, [destination]):
        raise Refused(
            Problem(
                field,
                destination,
                "Mail would come back to {source} and go round forever.",
                "Use an address that does not lead back.",
                {"source": source},
            )
        )
    if domain_of(destination) not in graph.domains:
        if source.startswith("@"):
            raise Refused(
                Problem(
                    field,
                    destination,
                    "The address is outside this server, and a catch-all cannot lead there: it would pass on "
                    "whatever strangers send to addresses that they guess.",
                    "Use an address of this server, or make an alias for the addresses that matter.",
                )
            )
        return
    if bare in graph.deleted or not (bare in graph.mailboxes or graph.hops(bare)):
        raise Refused(
            Problem(
                field,
                destination,
                "There is neither a mailbox nor an alias with this address.",
                "Add the mailbox first, or use an address that exists.",
            )
        )
