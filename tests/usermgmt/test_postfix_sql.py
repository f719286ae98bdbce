"""Postfix's own queries, on a real MariaDB, say of every address what the services' graph says."""

from __future__ import annotations

import os
import re

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import invariant, run_state_machine_as_test
from sqlalchemy import Connection, create_engine, select
from sqlalchemy.orm import Session
from support import Directory, Server
from test_alias_graph import DOMAINS, MOST_STEPS, Admins

from tests.places import REPOSITORY
from usermgmt.addresses import domain_of, untagged
from usermgmt.database import Database
from usermgmt.models import Domain, Mailbox
from usermgmt.passwords import Hasher
from usermgmt.services import aliases, mail_rules, mailboxes
from usermgmt.services.audit import COMMAND_LINE, Actor
from usermgmt.services.graph import Graph

SQL = REPOSITORY / "config" / "postfix" / "sql"
NAMES = ("x", "y", "z", "nobody", "x+tag", "abuse", "postmaster", "postmaster+tag")
EXAMPLES = int(os.environ.get("ACCOUNT_EXAMPLES", "6"))


class Postfix:
    """The look-ups that Postfix makes for a recipient, with the queries of config/postfix/sql."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.queries = {
            file.stem: re.split(r"^query = ", file.read_text(encoding="utf-8"), flags=re.MULTILINE)[1]
            for file in SQL.glob("*.cf")
        }

    def ask(self, name: str, key: str) -> list[str]:
        """What `postmap -q KEY` answers; the keys of this test need no escaping."""
        # %s is Postfix's and %% a plain percent sign; what remains of those is the driver's to double.
        sql = self.queries[name].replace("%s", key).replace("%%", "%").replace("%", "%%")
        return [str(row[0]) for row in self.connection.exec_driver_sql(sql)]

    def ends(self, address: str) -> set[str]:
        """Where mail is delivered; empty if RCPT TO is refused."""
        keys = list(dict.fromkeys([address, untagged(address)]))
        domain = domain_of(address)
        if not self.ask("domains", domain) or any(self.ask("refused", key) for key in (*keys, domain)):
            return set()
        first = self.expand(address)
        if first is None:
            return set()
        final, waiting, steps = set(), first, 0
        while waiting:
            steps += 1
            assert steps < MOST_STEPS, f"451 alias expansion error for {address}"
            one = waiting.pop()
            found = self.expand(one)
            if found is None or one in found:
                final.add(one)
            waiting |= (found or set()) - {one}
        return final

    def expand(self, address: str) -> set[str] | None:
        """One look-up in virtual_alias_maps, by the address, without its tag, by its domain."""
        for key in dict.fromkeys([address, untagged(address), "@" + domain_of(address)]):
            found = self.ask("mailboxes", key) or self.ask("aliases", key)
            if found and untagged(address) in found:
                return {address}
            if found:
                return set(found)
        return None


@pytest.mark.mariadb
def test_whether_a_mailbox_has_room_says_the_store_of_its_shard(mariadb: Server) -> None:
    """By a class of main.cf, where there are several hosts; who is no mailbox is not asked about."""
    database, reader = Database(mariadb.url("usermgmt")), create_engine(mariadb.url("postfix"))
    with Session(database.engine) as session, reader.connect() as connection:
        directory = Directory(session, COMMAND_LINE, Hasher(cheap=True))
        directory.domain("room.example")
        box = directory.mailbox("box@room.example")
        box.shard = "b"
        session.commit()
        try:
            assert Postfix(connection).ask("quota", "box@room.example") == ["quota_b"]
            assert Postfix(connection).ask("quota", "nobody@room.example") == []
        finally:
            session.delete(box)
            session.flush()
            session.delete(session.get_one(Domain, box.domain_id))
            session.commit()
    reader.dispose()
    main = (SQL.parent / "main.cf").read_text(encoding="utf-8")
    classes = re.search(r"^smtpd_restriction_classes = (.+)$", main, re.MULTILINE)
    assert classes and "quota_b" in classes[1].split(", ")
    for name in classes[1].split(", "):
        shard = name.removeprefix("quota_")
        assert f"\n{name} = check_policy_service inet:dovecot-{shard}:12340\n" in main


@pytest.mark.mariadb
def test_the_relay_forwards_only_to_where_somebody_does(mariadb: Server) -> None:
    """With `forward_by_relay`: outside addresses that an enabled alias or person leads to."""
    database, reader = Database(mariadb.url("usermgmt")), create_engine(mariadb.url("postfix"))
    with Session(database.engine) as session, reader.connect() as connection:
        directory = Directory(session, COMMAND_LINE, Hasher(cheap=True))
        directory.domain("fwd.example")
        box, other = directory.mailbox("box@fwd.example"), directory.mailbox("other@fwd.example")
        mail_rules.set_forwards(session, COMMAND_LINE, box, "old@far.example\ntwo@far.example", True)
        rows = directory.alias("club@fwd.example", "box@fwd.example club@far.example")
        session.commit()
        ask = lambda key: Postfix(connection).ask("forward_targets", key)  # noqa: E731
        outside = ("old@far.example", "two@far.example", "club@far.example")
        try:
            assert [ask(each) for each in outside] == [["OK"]] * 3
            for key in ("x@far.example", "far.example", "old@", "", other.email, box.email):
                assert ask(key) == [], key
            assert Postfix(connection).ask("forward_senders", "fwd.example") == ["OK"]
            assert Postfix(connection).ask("forward_senders", "far.example") == []
            box.active = rows[-1].active = False
            session.commit()
            connection.rollback()
            assert [ask(each) for each in outside] == [[]] * 3
        finally:
            for row in rows:
                session.delete(row)
            session.flush()
            for each in (box, other):
                session.delete(each)
            session.flush()
            session.delete(session.get_one(Domain, box.domain_id))
            session.commit()
    reader.dispose()


@pytest.mark.mariadb
def test_a_duty_falls_to_the_oldest_mailbox_while_what_has_its_address_is_disabled(mariadb: Server) -> None:
    database = Database(mariadb.url("usermgmt"))
    with Session(database.engine) as session:
        directory = Directory(session, COMMAND_LINE, Hasher(cheap=True))
        for name in ("duty.example", "none.example"):
            directory.domain(name)
        oldest, abuse, chosen = (
            directory.mailbox(f"{name}@duty.example") for name in ("oldest", "abuse", "chosen")
        )
        directory.alias("postmaster@duty.example", chosen.email)
        mailboxes.set_mailbox_active(session, COMMAND_LINE, abuse.id, False)
        session.flush()
        postfix = Postfix(session.connection())
        reached = {duty: postfix.ends(f"{duty}@duty.example") for duty in ("abuse", "postmaster", "other")}
        assert reached == {"abuse": {oldest.email}, "postmaster": {chosen.email}, "other": set()}
        assert len(postfix.ends("abuse@none.example")) == 1, "a domain without mailboxes has the server's"
        for mailbox in session.scalars(select(Mailbox)):
            mailbox.active = False
        session.flush()
        assert not postfix.ends("abuse@duty.example"), "nobody is left on this server to read it"
        session.rollback()
    database.engine.dispose()


@pytest.mark.mariadb
def test_the_model_says_of_every_address_what_postfix_s_own_sql_says(mariadb: Server) -> None:
    class OnMariaDB(Admins):
        database = Database(mariadb.url("usermgmt"))

        @invariant()
        def model_and_sql_agree(self) -> None:
            self.session.flush()
            postfix, graph = Postfix(self.session.connection()), Graph(self.session).load_all()
            for domain in DOMAINS:
                for address in (f"{name}@{domain}" for name in NAMES):
                    assert {untagged(end) for end in postfix.ends(address)} == {
                        untagged(end) for end in graph.ends(address)
                    }, address

    run_state_machine_as_test(
        OnMariaDB,
        settings=settings(
            max_examples=EXAMPLES,
            stateful_step_count=15,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            # Making a counter-example small takes minutes here.
            phases=[Phase.generate],
        ),
    )
    OnMariaDB.database.engine.dispose()


@pytest.mark.mariadb
def test_whoever_gets_the_mail_of_an_alias_sends_as_it_unless_that_is_switched_off(
    mariadb: Server, actor: Actor, hasher: Hasher
) -> None:
    database = Database(mariadb.url("usermgmt"))
    with Session(database.engine, expire_on_commit=False) as session:
        made = Directory(session, actor, hasher)
        made.domain("send.example")
        anna, bert, team = (f"{name}@send.example" for name in ("anna", "bert", "team"))
        made.mailbox(anna)
        made.mailbox(bert)
        first, second = made.alias(team, f"{anna} {bert}")
        (catch_all,) = made.alias("@send.example", anna)

        def senders(address: str) -> set[str]:
            session.flush()
            return set(Postfix(session.connection()).ask("sender_logins", address)) - {address}

        assert senders(team) == {anna, bert}
        aliases.set_alias_may_send(session, actor, second.id, False)
        assert senders(team) == {anna}
        aliases.set_alias_active(session, actor, first.id, False)
        assert senders(team) == set(), "an alias that is off lets nobody send, nor does the catch-all"
        assert senders("@send.example") == {anna}
        aliases.set_alias_may_send(session, actor, catch_all.id, False)
        assert senders("@send.example") == set()
        assert Postfix(session.connection()).ask("sender_logins", anna) == [anna]
        session.rollback()
    database.engine.dispose()
