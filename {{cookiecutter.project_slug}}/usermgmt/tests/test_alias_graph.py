"""Whatever admins do in whatever order, mail never goes round and never leads nowhere."""

from __future__ import annotations

from contextlib import suppress

from conftest import make_schema
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from sqlalchemy import select
from sqlalchemy.orm import Session

from usermgmt.addresses import untagged
from usermgmt.database import Database
from usermgmt.models import Alias, Mailbox
from usermgmt.passwords import Hasher
from usermgmt.problems import Refused
from usermgmt.services import aliases, domains, mailboxes
from usermgmt.services.audit import COMMAND_LINE
from usermgmt.services.directory import next_hops

DOMAINS = ("a.example", "b.example")
addresses = st.builds("{}@{}".format, st.sampled_from("xy"), st.sampled_from(DOMAINS))
sources = addresses | st.sampled_from(DOMAINS).map("@{}".format)
CHEAP = Hasher(cheap=True)
STEPS_OF_ANY_PATH = 20


class Admins(RuleBasedStateMachine):
    """Adds and deletes at random, as several people would."""

    def __init__(self) -> None:
        super().__init__()
        self.database = Database("sqlite://")
        make_schema(self.database)
        self.session = Session(self.database.engine, expire_on_commit=False)
        for name in DOMAINS:
            domains.add_domain(self.session, COMMAND_LINE, name)
        self.add_mailbox("x@b.example")

    @rule(address=addresses)
    def add_mailbox(self, address: str) -> None:
        with suppress(Refused):
            mailboxes.add_mailbox(self.session, COMMAND_LINE, CHEAP, address, "a good long phrase", "1G")

    @rule(source=sources, destination=addresses, tag=st.sampled_from(["", "+t"]))
    def add_alias(self, source: str, destination: str, tag: str) -> None:
        with suppress(Refused):
            aliases.add_alias(self.session, COMMAND_LINE, source, destination.replace("@", tag + "@"))

    @rule(data=st.data())
    def delete_something(self, data: st.DataObject) -> None:
        rows = [*self.session.scalars(select(Mailbox)), *self.session.scalars(select(Alias))]
        if not rows:
            return
        row = data.draw(st.sampled_from(rows))
        with suppress(Refused):
            if isinstance(row, Mailbox):
                mailboxes.delete_mailbox(self.session, COMMAND_LINE, row.id)
            else:
                aliases.delete_alias(self.session, COMMAND_LINE, row.id)
        self.session.flush()

    @invariant()
    def mail_for_every_alias_arrives(self) -> None:
        boxes = set(self.session.scalars(select(Mailbox.email)))
        for alias in self.session.scalars(select(Alias)):
            waiting = {untagged(alias.destination)}
            for _ in range(STEPS_OF_ANY_PATH):
                waiting = {hop for address in waiting - boxes for hop in self.follow(address)}
            assert not waiting, f"mail for {alias.source} goes round through {waiting}"

    def follow(self, address: str) -> list[str]:
        """The next addresses of one that is no mailbox; there must be some."""
        hops = next_hops(self.session, address)
        assert hops, f"{address} leads nowhere"
        return hops

    def teardown(self) -> None:
        self.session.close()
        self.database.engine.dispose()


Admins.TestCase.settings = settings(max_examples=60, stateful_step_count=25, deadline=None)
TestAdmins = Admins.TestCase
