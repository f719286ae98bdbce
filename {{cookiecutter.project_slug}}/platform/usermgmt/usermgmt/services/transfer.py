"""Many mailboxes and aliases at once, all or none, and all of them to take along.

The number of queries does not depend on the rows, and no password is hashed while the directory is locked.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import func, insert, select
from sqlalchemy.orm import Session

from usermgmt.addresses import domain_of
from usermgmt.database import Database, lock_directory
from usermgmt.models import Alias, AuditEntry, Domain, Mailbox
from usermgmt.passwords import Hasher, generate_password
from usermgmt.problems import Collector, Problem, Refused
from usermgmt.quota import format_quota
from usermgmt.services.aliases import refuse_only_outside
from usermgmt.services.audit import Actor, record_many
from usermgmt.services.domains import count_by_domain
from usermgmt.services.graph import Graph, check_destination
from usermgmt.services.mail_rules import refresh
from usermgmt.services.removal import purge
from usermgmt.services.storage import given_by_domain, refuse_quota, usual_quota
from usermgmt.services.table import COLUMNS, Line, as_csv, decode, read


@dataclass(frozen=True)
class Imported:
    """What was added, or would be; the passwords that were generated are kept nowhere."""

    mailboxes: int
    aliases: int
    passwords: list[tuple[str, str]]


def hashed(hasher: Hasher, lines: list[Line]) -> list[tuple[str, str]]:
    """Give every mailbox a hash; returns the passwords that were generated. No lock may be held meanwhile."""
    generated = []
    for line in lines:
        if line.destinations or line.password_hash:
            continue
        if line.password:
            line.password_hash = hasher.hash_for_mailbox(line.password)
        else:
            password = generate_password()
            line.password_hash = hasher.hash_generated_for_mailbox(password)
            generated.append((line.address, password))
    return generated


def refuse(field: str, value: str, wrong: str, instead: str, **values: str) -> Refused:
    """A refusal with one problem."""
    return Refused(Problem(field, value, wrong, instead, values))


class Directory:
    """What is there and what the lines add to it, in a handful of queries."""

    def __init__(self, session: Session, actor: Actor) -> None:
        purge(session)
        self.actor = actor
        self.domains = {domain.name: domain for domain in session.scalars(select(Domain))}
        self.graph = Graph(session).load_all()
        self.before = {*self.graph.mailboxes, *self.graph.aliases}
        self.boxes = Counter(count_by_domain(session, Mailbox))
        self.sources = Counter(count_by_domain(session, Alias))
        self.given = given_by_domain(session)
        #: Addresses of lines, and whether they are aliases.
        self.seen: dict[str, bool] = {}

    def check_domain(self, line: Line) -> None:
        """Refuse what is in no domain of the actor."""
        name = domain_of(line.address)
        domain = self.domains.get(name)
        if domain is None or not self.actor.reaches(domain.id):
            wrong, instead = "The domain {domain} is not on this server.", "Add the domain first."
            raise refuse("address", line.address, wrong, instead, domain=name)

    def check_free(self, line: Line) -> None:
        """Refuse an address twice; a further line of an alias has those of its destinations that are off."""
        further = bool(line.destinations) and self.seen.get(line.address, False)
        if line.address in self.before or (line.address in self.seen and not further):
            wrong = "This address is taken already, here or by a line above."
            raise refuse("address", line.address, wrong, "Remove the line, or use another address.")
        for address in line.destinations:
            if address in self.graph.aliases.get(line.address, {}):
                wrong, instead = "The alias {source} already leads there.", "Remove it from your list."
                raise refuse("destinations", address, wrong, instead, source=line.address)

    def count(self, line: Line) -> None:
        """Refuse more than a domain may have."""
        domain = self.domains.get(domain_of(line.address))
        if domain is None or line.address in self.seen:
            return
        is_alias = bool(line.destinations)
        counted, most = (
            (self.sources, domain.most_aliases) if is_alias else (self.boxes, domain.most_mailboxes)
        )
        counted[domain.id] += 1
        if most is not None and counted[domain.id] > most:
            wrong, instead = "The domain would have more than it may have.", "Ask an owner for more."
            raise refuse("address", line.address, wrong, instead)
        if not is_alias:
            quota = line.quota_bytes or usual_quota(domain)
            refuse_quota(self.actor, domain, quota, self.given[domain.id], ("quota", format_quota(quota)))
            self.given[domain.id] += quota

    def add(self, line: Line) -> None:
        """Take a line in, and give it its problems."""
        wrong = Collector()
        for check in (self.check_domain, self.check_free, self.count):
            with wrong:
                check(line)
        line.problems += wrong.problems
        self.seen[line.address] = bool(line.destinations)
        if line.destinations:
            ways = self.graph.aliases.setdefault(line.address, {})
            ways.update(dict.fromkeys(line.destinations, line.active))
        else:
            self.graph.mailboxes.setdefault(line.address, line.active)

    def check_ways(self, line: Line) -> None:
        """Refuse destinations, once all lines are in: an alias may lead to a line below."""
        wrong = Collector()
        for address in line.destinations:
            with wrong:
                check_destination(self.graph, line.address, address)
        with wrong:
            refuse_only_outside(
                self.graph, line.address, line.destinations, "destinations", " ".join(line.destinations)
            )
        line.problems += wrong.problems


def compare(session: Session, actor: Actor, lines: list[Line]) -> dict[str, Domain]:
    """Hold the lines against each other and what is there; the domains. Raises Refused with all problems."""
    there = Directory(session, actor)
    for line in lines:
        if line.address:
            there.add(line)
    for line in lines:
        there.check_ways(line)
    problems = [
        replace(problem, values={**problem.values, "line": str(line.number)})
        for line in lines
        for problem in line.problems
    ]
    if problems:
        raise Refused(problems)
    return there.domains


def new_mailbox(line: Line, domain: Domain, earlier: int) -> dict[str, Any]:
    """The columns of a mailbox; whoever had the address before keeps their folder."""
    local_part = line.address.rpartition("@")[0]
    return {
        "domain_id": domain.id,
        "email": line.address,
        "password_hash": line.password_hash,
        "display_name": line.name,
        "quota_bytes": line.quota_bytes or usual_quota(domain),
        "active": line.active,
        "home": f"{domain.name}/{local_part}+{earlier + 1}" if earlier else None,
    }


def write(session: Session, actor: Actor, lines: list[Line], domains: dict[str, Domain]) -> None:
    """Add everything; the lines were compared in this transaction."""
    given = select(AuditEntry.subject, func.count()).where(AuditEntry.action == "mailbox.add")
    times = {subject: count for subject, count in session.execute(given.group_by(AuditEntry.subject))}
    boxes = [
        new_mailbox(line, domains[domain_of(line.address)], times.get(line.address, 0))
        for line in lines
        if not line.destinations
    ]
    ways = [
        {
            "domain_id": domains[domain_of(line.address)].id,
            "source": line.address,
            "destination": address,
            "active": line.active,
            "may_send": line.may_send,
        }
        for line in lines
        for address in line.destinations
    ]
    for table, rows in ((Mailbox, boxes), (Alias, ways)):
        if rows:
            session.execute(insert(table), rows)
    # Rows that are inserted like this are not seen by what follows the aliases.
    refresh(session)
    added = [(box["email"], {name: box[name] for name in ("quota_bytes", "active")}) for box in boxes]
    record_many(session, actor, "mailbox.add", added)
    added = [
        (way["source"], {name: way[name] for name in ("destination", "active", "may_send")}) for way in ways
    ]
    record_many(session, actor, "alias.add", added)


def import_table(
    database: Database, hasher: Hasher, actor: Actor, data: bytes, dry_run: bool = True
) -> Imported:
    """Add all lines of a file, or with `dry_run` none; raises Refused with every problem, by line."""
    lines = read(decode(data))
    with database.transaction() as session:
        compare(session, actor, lines)
    passwords: list[tuple[str, str]] = []
    if not dry_run:
        # Slow, so nobody waits for it; what changed meanwhile is seen by looking once more.
        passwords = hashed(hasher, lines)
        with database.transaction() as session:
            lock_directory(session)
            write(session, actor, lines, compare(session, actor, lines))
    sources = {line.address for line in lines if line.destinations}
    return Imported(sum(not line.destinations for line in lines), len(sources), passwords)


def export(session: Session, scope: frozenset[int] | None = None) -> str:
    """Mailboxes and aliases of these domains in the form that can be imported; passwords cannot be read."""
    boxes = select(Mailbox).where(Mailbox.deleted_at.is_(None)).order_by(Mailbox.email)
    rows = select(Alias).order_by(Alias.source, Alias.active.desc(), Alias.may_send.desc(), Alias.destination)
    if scope is not None:
        boxes, rows = boxes.where(Mailbox.domain_id.in_(scope)), rows.where(Alias.domain_id.in_(scope))
    ways: dict[tuple[str, bool, bool], list[str]] = {}
    for alias in session.scalars(rows):
        ways.setdefault((alias.source, alias.active, alias.may_send), []).append(alias.destination)
    words = {True: "yes", False: "no"}
    cells = [
        (box.email, box.display_name, format_quota(box.quota_bytes), words[box.active], "", "", "")
        for box in session.scalars(boxes)
    ]
    cells += [
        (source, "", "", words[active], " ".join(destinations), words[may_send], "")
        for (source, active, may_send), destinations in ways.items()
    ]
    return as_csv([COLUMNS, *cells])
