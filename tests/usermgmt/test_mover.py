"""The mover's steps in order, whatever a store answers; and the command that mailctl speaks to.

On real stores: tests/swarm/shards.
"""

from __future__ import annotations

import json
import os
import ssl
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, update
from test_cli import WANTED, Terminal, run  # noqa: F401 - a fixture

from usermgmt import cli_shards, mover
from usermgmt.database import Database
from usermgmt.mail.doveadm import Doveadm, Unreachable
from usermgmt.mail.stores import StoreFailed, Stores
from usermgmt.models import Mailbox, MailboxMove, MailboxUsage, Shard, utc_now
from usermgmt.mover import Mover
from usermgmt.services.host_news import latest

ANNA = "anna@example.org"
Answer = Callable[[str, str, dict[str, Any]], Any]


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[tuple[str, str]]:
    """What the stores are asked for, in order; each does it."""
    asked: list[tuple[str, str]] = []
    monkeypatch.setattr(mover, "BEAT", tmp_path / "beat")
    monkeypatch.setattr(cli_shards, "BEAT", tmp_path / "beat")
    answering(monkeypatch, asked, lambda host, command, words: [])
    return asked


def answering(monkeypatch: pytest.MonkeyPatch, asked: list[tuple[str, str]], answer: Answer) -> None:
    def ask(self: Doveadm, commands: list[tuple[str, dict[str, Any]]], *_: Any) -> list[list[Any]]:
        [(command, words)] = commands
        asked.append((self.host, command))
        said = answer(self.host, command, words)
        return [["error" if isinstance(said, dict) else "doveadmResponse", said, "0"]]

    monkeypatch.setattr(Doveadm, "ask", ask)


@pytest.fixture
def moving(run: Terminal, answers: list[tuple[str, str]]) -> Mover:  # noqa: F811
    """A mailbox that shall go from a to b."""
    run.ensure(**WANTED)
    shards = [{"name": "a", "node": "mail1"}, {"name": "b", "node": "mail2"}]
    done = run("shards", stdin=json.dumps({"set": shards, "move": {"addresses": [ANNA], "to": "b"}}))
    assert json.loads(done.output)["asked"] == [ANNA], done.output
    return Mover(run.database, Stores("k", ssl.create_default_context()), settled=timedelta(0))


def states(run: Terminal) -> list[tuple[str, str]]:  # noqa: F811
    return [(move["state"], move["trouble"]) for move in json.loads(run("shards").output)["moves"]]


def shard(database: Database) -> tuple[str, str, int]:
    with database.transaction() as session:
        box = session.query(Mailbox).one()
        return box.shard, box.volume, box.version


def test_two_copies_the_row_the_sessions_the_merge_and_then_the_source_is_emptied(
    run: Terminal,  # noqa: F811
    moving: Mover,
    answers: list[tuple[str, str]],
) -> None:
    version = shard(run.database)[2]
    assert moving.once()
    assert [command for _, command in answers] == [
        *("backup", "backup", "kick"),
        *("mailboxStatus", "fetch", "fetch", "sync", "fetch", "mailboxStatus"),
    ]
    assert [host for host, command in answers if command != "fetch"] == ["dovecot-a"] * 6
    assert [host for host, command in answers if command == "fetch"] == [
        "dovecot-a",
        "dovecot-b",
        "dovecot-b",
    ]
    now = shard(run.database)
    assert now[0] == "b" and now[1].startswith("b/"), "a folder that no move had before"
    assert now[2] == version, "who edits the mailbox is told of a conflict"
    assert states(run) == [("merged", "")]
    answers.clear()
    assert moving.once() and not moving.once()
    assert [command for _, command in answers] == ["mailboxStatus", "expunge", "ftsFlatcurveRemove"]
    assert states(run) == []


def test_what_a_store_refuses_is_told_and_tried_again(
    run: Terminal,  # noqa: F811
    moving: Mover,
    answers: list[tuple[str, str]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    answering(monkeypatch, answers, lambda *_: {"type": "exitCode", "exitCode": 68})
    assert moving.once() and not moving.once()
    [(state, trouble)] = states(run)
    assert state == "copying" and "store a: backup" in trouble and shard(run.database)[0] == "a"

    def gone(*_: Any) -> None:
        raise Unreachable("no route")

    due(run.database)
    answering(monkeypatch, answers, gone)
    assert moving.once() and "no route" in states(run)[0][1]


def due(database: Database) -> None:
    """No time has to pass."""
    with database.transaction() as session:
        session.execute(update(MailboxMove).values(again_at=utc_now()))


def test_a_source_that_still_changes_is_merged_until_it_rests(
    run: Terminal,  # noqa: F811
    moving: Mover,
    answers: list[tuple[str, str]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    number = 0

    def changing(host: str, command: str, words: dict[str, Any]) -> Any:
        nonlocal number
        number += command == "mailboxStatus" and number < 5
        if command == "sync" and number < 7:
            return {"exitCode": 2} if number < 3 else []
        return [] if command == "fetch" else [{"mailbox": "INBOX", "messages": str(number)}]

    answering(monkeypatch, answers, changing)
    moving.once()
    assert [command for _, command in answers].count("sync") == 4 and states(run) == [("merged", "")]
    now = time.monotonic_ns
    answering(monkeypatch, answers, lambda _, what, __: [] if what == "fetch" else [{"mailbox": str(now())}])
    due(run.database)
    moving.once()
    assert "does not come to rest" in states(run)[0][1]


def test_what_a_merge_copied_twice_is_removed_and_what_people_have_twice_stays(
    run: Terminal,  # noqa: F811
    moving: Mover,
    answers: list[tuple[str, str]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def mails(*held: str) -> list[dict[str, str]]:
        return [{"mailbox": "INBOX", "guid": guid, "uid": str(uid)} for uid, guid in enumerate(held, 1)]

    looked = [mails("twice", "twice"), mails("twice", "twice", "own", "own")]
    looked.append(mails("twice", "twice", "own", "own", "new", "new", "own", "twice"))
    removed: list[list[str]] = []

    def answer(host: str, command: str, words: dict[str, Any]) -> Any:
        if command == "expunge":
            removed.append(words["query"])
        return looked.pop(0) if command == "fetch" else []

    answering(monkeypatch, answers, answer)
    moving.once()
    assert removed == [["mailbox", "INBOX", "uid", each] for each in ("8", "7", "6")]


def test_a_mailbox_that_another_mover_has_moved_is_not_moved_again(
    run: Terminal,  # noqa: F811
    moving: Mover,
) -> None:
    def other(name: str) -> None:
        if name == "flip":
            with run.database.transaction() as session:
                session.execute(update(MailboxMove).values(flipped_at=utc_now()))

    moving.step = other
    moving.once()
    assert "another mover" in states(run)[0][1]


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        ({"move": {"addresses": ["nobody@example.org"], "to": "b"}}, "no such mailbox"),
        ({"move": {"addresses": [ANNA], "to": "z"}}, "no such shard"),
        ({"move": {"addresses": [ANNA], "to": "a"}}, "being moved elsewhere"),
        ({"take_over": {"from": "a", "to": "b", "volumes": {}}}, "no copy of it"),
        ({"move": {"to": "b"}}, "KeyError"),
    ],
)
def test_what_cannot_be_is_refused_with_the_reason_and_changes_nothing(
    run: Terminal,  # noqa: F811
    moving: Mover,
    asked: dict[str, Any],
    says: str,
) -> None:
    before = run("shards").output
    done = run("shards", stdin=json.dumps(asked))
    assert done.exit_code == 1 and says in done.output
    assert run("shards").output == before


def test_its_service_is_healthy_while_it_works(
    run: Terminal,  # noqa: F811
    moving: Mover,
    tmp_path: Path,
) -> None:
    assert run("mover", "--check").exit_code == 1
    moving.once()
    assert run("mover", "--check").exit_code == 0
    os.utime(tmp_path / "beat", (0, 0))
    assert run("mover", "--check").exit_code == 1


def test_it_works_while_it_holds_the_lock_and_ends_when_it_is_told(
    run: Terminal,  # noqa: F811
    moving: Mover,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ended, holds = threading.Event(), [False, True]
    monkeypatch.setattr(mover, "IDLE_SECONDS", 0.01)
    monkeypatch.setattr(Mover, "_alone", lambda *_: holds[0])
    moving.step = lambda name: ended.set() if name == "note" else None
    thread = threading.Thread(target=moving.run, args=(ended,))
    thread.start()
    assert states(run) == [("copying", "")]
    holds[0] = True
    thread.join(20)
    assert not thread.is_alive() and states(run) == [("merged", "")]


def test_without_its_key_or_authority_it_does_not_start(
    run: Terminal,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.setenv("STORES_CA_FILE", str(tmp_path / "none"))
    assert "STORES_CA_FILE" in run("mover").output
    monkeypatch.setenv(
        "STORES_CA_FILE", ssl.get_default_verify_paths().cafile or "/etc/ssl/certs/ca-certificates.crt"
    )
    assert "STORES_KEY_FILE" in run("mover").output


def test_one_shard_more_changes_where_new_mailboxes_go(run: Terminal, moving: Mover) -> None:  # noqa: F811
    with run.database.transaction() as session:
        session.add(Shard(name="c", node="mail3"))
    run.ensure(mailboxes=[{"email": "bert@example.org", "password": "correct horse battery"}])
    held = {each["name"]: each["mailboxes"] for each in json.loads(run("shards").output)["shards"]}
    assert held == {"a": 1, "b": 1, "c": 0}


def test_a_store_that_fails_is_an_error_of_its_own() -> None:
    with pytest.raises(StoreFailed, match="store a"):
        Stores("k", ssl.create_default_context()).kick(ANNA, "a")


def test_a_host_is_told_which_folders_are_its_own_and_who_has_a_mailbox(
    run: Terminal,  # noqa: F811
    moving: Mover,
) -> None:
    def told(**wanted: Any) -> Any:
        return json.loads(run("shards", stdin=json.dumps(wanted)).output)

    here = {"served": {"example.org/anna": "a"}, "moving": ["example.org/anna"]}
    assert told(homes="a")["homes"] == here
    # The target has a part of it already, and serves none yet.
    assert told(homes="b")["homes"] == here | {"served": {}}
    assert told(find=ANNA)["found"] == {"shard": "a", "node": "mail1"}
    assert told(find="nobody@example.org")["found"] is None


def test_each_host_speaks_for_its_own_mailboxes_and_one_for_all(run: Terminal, moving: Mover) -> None:  # noqa: F811
    def says(**news: Any) -> None:
        done = run("host-news", stdin=json.dumps({"incidents": [], **news}))
        assert done.exit_code == 0, done.output

    says(usage={ANNA: 7}, services=3)
    says(usage={}, shard="b", whole=False, host={"name": "mail2", "member": "writer", "copied_at": 5.0})
    says(usage={"nobody@example.org": 1}, shard="b", whole=False)
    with run.database.transaction() as session:
        assert [row.used_bytes for row in session.scalars(select(MailboxUsage))] == [7]
        assert (news := latest(session)) is not None and news.document["services"] == 3
    told = json.loads(run("shards", stdin=json.dumps({"hosts": True})).output)["hosts"]
    assert told["mail2"]["member"] == "writer" and told["mail2"]["copied_at"] == 5.0
