"""Whatever admins do in whatever order, mail never goes round, and a known address is never diverted."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import ClassVar

from conftest import make_schema
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from sqlalchemy import select
from sqlalchemy.orm import Session

from usermgmt.addresses import domain_of, untagged
from usermgmt.database import Database
from usermgmt.models import Alias, Domain, Mailbox
from usermgmt.passwords import Hasher
from usermgmt.problems import Refused
from usermgmt.services import aliases, domains, mail_rules, mailboxes, removal
from usermgmt.services.audit import COMMAND_LINE
from usermgmt.services.graph import Graph

DOMAINS = ("a.example", "b.example")
OUTSIDE = "out@elsewhere.example"
names = st.sampled_from(["x", "y", "z", "abuse"])
addresses = st.builds("{}@{}".format, names, st.sampled_from(DOMAINS))
sources = addresses | st.sampled_from(DOMAINS).map("@{}".format)
CHEAP = Hasher(cheap=True)
MEMORY = Database("sqlite://")
MOST_STEPS = 20
EXAMPLES = int(os.environ.get("GRAPH_EXAMPLES", "25"))


class Admins(RuleBasedStateMachine):
    """Adds, deletes, restores, enables and disables at random, as several people would."""

    database: ClassVar[Database | None] = None

    def __init__(self) -> None:
        super().__init__()
        self.own = self.database or MEMORY
        if not self.database:
            make_schema(self.own)
        self.session = Session(self.own.engine, expire_on_commit=False)
        for name in DOMAINS:
            domains.add_domain(self.session, COMMAND_LINE, name)
        self.add_mailbox("x@b.example")

    @rule(address=addresses)
    def add_mailbox(self, address: str) -> None:
        with suppress(Refused):
            mailboxes.add_mailbox(self.session, COMMAND_LINE, CHEAP, address, "a good long phrase", "1G")

    @rule(source=sources, destination=addresses | st.just(OUTSIDE), tag=st.sampled_from(["", "+t"]))
    def add_alias(self, source: str, destination: str, tag: str) -> None:
        with suppress(Refused):
            aliases.add_alias(self.session, COMMAND_LINE, source, destination.replace("@", tag + "@"))

    @rule(choice=st.integers(0), chosen=st.lists(addresses, max_size=2))
    def forward(self, choice: int, chosen: list[str]) -> None:
        rows = self.session.scalars(select(Mailbox).where(Mailbox.deleted_at.is_(None))).all()
        with suppress(Refused):
            if rows:
                row = rows[choice % len(rows)]
                mail_rules.set_forwards(self.session, COMMAND_LINE, row, " ".join(chosen), True)
        self.session.flush()

    @rule(choice=st.integers(0), turn=st.sampled_from(["on", "off", "delete", "back"]))
    def change_something(self, choice: int, turn: str) -> None:
        rows = [row for table in (Mailbox, Alias, Domain) for row in self.session.scalars(select(table))]
        row, session = rows[choice % len(rows)], self.session
        with suppress(Refused):
            match row, turn:
                case Mailbox(), "delete":
                    (removal.erase_mailbox if row.deleted_at else removal.delete_mailbox)(
                        session, COMMAND_LINE, row.id
                    )
                case Mailbox(), "back":
                    removal.restore_mailbox(session, COMMAND_LINE, row.id)
                case Mailbox(), _:
                    mailboxes.set_mailbox_active(session, COMMAND_LINE, row.id, turn == "on")
                case Alias(), "delete":
                    aliases.delete_alias(session, COMMAND_LINE, row.id)
                case Alias(), "on" | "off":
                    aliases.set_alias_active(session, COMMAND_LINE, row.id, turn == "on")
                case Domain(), "on" | "off":
                    domains.set_domain_active(session, COMMAND_LINE, row.id, turn == "on")
        session.flush()

    @invariant()
    def mail_reaches_whom_it_should(self) -> None:
        graph = Graph(self.session).load_all()
        self.mail_never_goes_round(graph)
        self.a_known_address_is_never_diverted_to_the_catch_all(graph)
        self.postmaster_and_abuse_of_an_enabled_domain_reach_somebody_while_there_is_anybody(graph)
        self.a_reply_knows_the_aliases_that_a_walk_from_each_of_them_finds(graph)

    def mail_never_goes_round(self, graph: Graph) -> None:
        for source, targets in [*graph.aliases.items(), *graph.forwards.items()]:
            waiting = {untagged(target) for target in targets}
            for _ in range(MOST_STEPS):
                waiting = {untagged(hop) for address in waiting for hop in graph.hops(address)}
            assert not waiting, f"mail for {source} goes round through {waiting}"

    def a_known_address_is_never_diverted_to_the_catch_all(self, graph: Graph) -> None:
        for address, usable in graph.mailboxes.items():
            here = usable and graph.domains[domain_of(address)]
            if here or not address.startswith("abuse@"):
                assert graph.ends(address) == ({address} if here else set())

    def postmaster_and_abuse_of_an_enabled_domain_reach_somebody_while_there_is_anybody(
        self, graph: Graph
    ) -> None:
        anybody = [box for box, usable in graph.mailboxes.items() if usable and graph.domains[domain_of(box)]]
        for domain in DOMAINS:
            for duty in ("postmaster", "abuse"):
                reached = graph.ends(f"{duty}@{domain}")
                assert bool(reached) == (bool(anybody) and graph.domains[domain]), f"{duty}@{domain}"

    def a_reply_knows_the_aliases_that_a_walk_from_each_of_them_finds(self, graph: Graph) -> None:
        found: dict[str, set[str]] = {address: set() for address in graph.mailboxes}
        for source in graph.aliases:
            for end in () if source.startswith("@") else map(untagged, graph.ends(source)):
                found[end].add(source)
        aliases_of = mail_rules.aliases_of(self.session, found)
        assert {address: set(names) for address, names in aliases_of.items()} == found

    def teardown(self) -> None:
        self.session.close()
        if not self.database:
            self.own.engine.dispose()


Admins.TestCase.settings = settings(max_examples=EXAMPLES, stateful_step_count=25, deadline=None)
TestAdmins = Admins.TestCase
