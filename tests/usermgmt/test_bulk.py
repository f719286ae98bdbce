"""Work on many rows costs as many queries as work on few, and nobody waits for a hash."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from sqlalchemy import event, insert
from support import Directory

from usermgmt.models import Alias, Mailbox
from usermgmt.problems import Conflict, Refused
from usermgmt.services import aliases, domains, mail_rules, mailboxes
from usermgmt.services.graph import Graph

MANY = 300


def queries(directory: Directory, work: Callable[[], object]) -> int:
    """How many statements `work` sends."""
    sent: list[str] = []
    engine = directory.session.get_bind()

    def note(_connection: object, _cursor: object, statement: str, *_rest: object) -> None:
        sent.append(statement)

    event.listen(engine, "before_cursor_execute", note)
    work()
    event.remove(engine, "before_cursor_execute", note)
    return len(sent)


@pytest.fixture
def many(directory: Directory) -> Directory:
    """example.org with a catch-all and hundreds of aliases."""
    directory.alias("@example.org", "anna@example.org")
    number = domains.list_domains(directory.session)[0].domain.id
    rows = [
        {"domain_id": number, "source": f"a{row}@example.org", "destination": "bert@example.org"}
        for row in range(MANY)
    ]
    directory.session.execute(insert(Alias), rows)
    return directory


def test_a_catch_all_over_many_aliases_is_deleted_with_few_queries(many: Directory) -> None:
    catch_all = next(row for row in many.session.query(Alias) if row.source == "@example.org")
    assert queries(many, lambda: aliases.delete_alias(many.session, many.actor, catch_all.id)) < 12


def test_many_destinations_are_checked_with_few_queries(many: Directory) -> None:
    graph = Graph(many.session)
    targets = [f"a{row}@example.org" for row in range(MANY)]
    assert queries(many, lambda: graph.loops_back("new@example.org", targets)) <= 9


def test_the_aliases_of_who_replies_are_found_without_reading_those_of_others(
    many: Directory, monkeypatch: pytest.MonkeyPatch
) -> None:
    many.alias("sales@example.org", "anna+shop@example.org")
    many.alias("info@example.org", "sales@example.org")
    anna = many.session.query(Mailbox).filter_by(email="anna@example.org").one()
    read, read_it = set[str](), Graph._read
    monkeypatch.setattr(
        Graph, "_read", lambda self, wanted: read.update(wanted or ["everything"]) or read_it(self, wanted)
    )
    form = {"on": "yes", "text": "Away", "days": "7"}
    mail_rules.set_reply(many.session, many.actor, anna, form, "UTC")
    script = mail_rules.rules_of(many.session, anna).script or ""
    assert '"info@example.org", "sales@example.org"]' in script
    assert queries(many, lambda: mail_rules.refresh(many.session)) < 30
    assert len(read) < 10 and "everything" not in read


def test_a_complete_graph_asks_nothing_more_and_knows_what_was_added(many: Directory) -> None:
    graph = Graph(many.session).load_all()
    assert queries(many, lambda: graph.loops_back("new@example.org", ["a1@example.org"])) == 0
    aliases.add_alias(many.session, many.actor, "one@example.org", "a1@example.org", graph)
    assert graph.loops_back("a1@example.org", ["one@example.org"])


def test_a_password_is_hashed_before_the_directory_is_locked(
    directory: Directory, monkeypatch: pytest.MonkeyPatch
) -> None:
    order: list[str] = []
    hash_it = directory.hasher.hash_for_mailbox
    monkeypatch.setattr(
        directory.hasher, "hash_for_mailbox", lambda word: order.append("hash") or hash_it(word)
    )
    monkeypatch.setattr(mailboxes, "lock_directory", lambda session: order.append("lock"))
    directory.mailbox("chihiro@example.org")
    assert order == ["hash", "lock"]


def test_a_change_of_what_somebody_else_changed_meanwhile_is_refused(directory: Directory) -> None:
    session, actor = directory.session, directory.actor
    mailbox = directory.mailbox("chihiro@example.org")
    seen = mailbox.version
    mailboxes.change_details(session, actor, mailbox.id, "2G", "", seen)
    session.flush()
    with pytest.raises(Conflict, match="Somebody else changed this"):
        mailboxes.change_details(session, actor, mailbox.id, "3G", "", seen)
    assert mailboxes.change_details(session, actor, mailbox.id, "3G", "", mailbox.version).quota_bytes


def test_a_domain_gives_its_default_and_no_more_than_its_limits(directory: Directory) -> None:
    domain = domains.list_domains(directory.session)[0].domain
    directory.alias("info@example.org", "anna@example.org")
    domains.change_domain(
        directory.session,
        directory.actor,
        domain.id,
        {"default_quota": "5G", "most_mailboxes": "3", "most_aliases": "1"},
    )
    assert directory.mailbox("chihiro@example.org", "").quota_bytes == 5 * 1024**3
    with pytest.raises(Refused, match="all the mailboxes that it may have"):
        directory.mailbox("dora@example.org")
    with pytest.raises(Refused, match="all the aliases that it may have"):
        directory.alias("sales@example.org", "anna@example.org")
    assert directory.alias("info@example.org", "bert@example.org")
