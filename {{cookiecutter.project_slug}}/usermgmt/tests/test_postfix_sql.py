"""Postfix's own queries, on a real MariaDB, say of every address what the services' graph says."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import invariant, run_state_machine_as_test
from sqlalchemy import Connection
from support import Server
from test_alias_graph import DOMAINS, MOST_STEPS, Admins

from usermgmt.addresses import domain_of, untagged
from usermgmt.database import Database
from usermgmt.services.graph import Graph

SQL = Path(__file__).parents[2] / "config" / "postfix" / "sql"
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
def test_the_model_says_of_every_address_what_postfix_s_own_sql_says(mariadb: Server) -> None:
    class OnMariaDB(Admins):
        database = Database(mariadb.url("usermgmt"))

        @invariant()
        def model_and_sql_agree(self) -> None:
            self.session.flush()
            postfix, graph = Postfix(self.session.connection()), Graph(self.session).load_all()
            for domain in DOMAINS:
                for address in (f"{name}@{domain}" for name in ("x", "y", "z", "nobody", "x+tag")):
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
