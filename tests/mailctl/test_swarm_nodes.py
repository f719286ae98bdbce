"""Hosts that are added, emptied, fail and return: plans, what is refused, and what the database is told."""

import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from conftest import ENV, Cli
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select

from mailctl.core.context import Context
from mailctl.core.errors import Problem, Refused
from mailctl.swarm import copies, docker, nodes, shards
from mailctl.swarm.copies import Copy
from usermgmt.cli_shards import carry_out
from usermgmt.database import Database
from usermgmt.models import Base, Domain, Mailbox, MailboxMove
from usermgmt.services.placement import placement, shard_of_new

NODES = """nodes:
  - {name: mail1, address: 127.0.0.1, database: 1, shard: a}
  - {name: mail2, address: 127.0.0.2, database: 2, shard: b}
  - {name: mail3, address: 127.0.0.3, database: 3, shard: c}
"""


@dataclass
class World:
    """A Swarm whose state is what a test says, with the real tables of usermgmt."""

    database: Database
    here: str = "mail2"
    manager: bool = True
    states: dict[str, str] = field(default_factory=dict)
    said: list[tuple[str, ...]] = field(default_factory=list)
    stores_run: bool = True

    def run(self, *words: str, stdin: str | None = None, **_: Any) -> str:
        self.said.append(words)
        if words[0] == "info":
            return json.dumps({"Name": self.here, "Swarm": {"ControlAvailable": self.manager}})
        if words[:2] == ("node", "inspect"):
            return json.dumps([{"Status": {"State": self.states.get(words[2], "ready")}}])
        return ""

    def store(self, _context: Context, service: str) -> str:
        if service != "dovecot-store" or not self.stores_run:
            raise Refused(Problem(service, "is not running", "start it"))
        return "0123456789ab"

    def ask(self, _context: Context, **wanted: Any) -> dict[str, Any]:
        with self.database.transaction() as session:
            asked = carry_out(session, wanted)
            session.flush()
            return placement(session) | {"asked": asked}

    def add(self, shard: str, number: int, volume: str = "") -> None:
        with self.database.transaction() as session:
            for each in range(number):
                email = f"{shard}{volume}{each}@example.org"
                row = {"domain_id": 1, "password_hash": "x", "quota_bytes": 1}
                session.add(Mailbox(email=email, shard=shard, volume=volume or shard, **row))

    def where(self) -> dict[str, tuple[str, str]]:
        with self.database.transaction() as session:
            return {each.email: (each.shard, each.volume) for each in session.scalars(select(Mailbox))}

    def moves(self) -> list[MailboxMove]:
        with self.database.transaction() as session:
            return list(session.scalars(select(MailboxMove).order_by(MailboxMove.mailbox_id)))


@pytest.fixture
def world(repo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    (repo / "nodes.yml").write_text(NODES)
    (repo / ".env").write_text(f"{ENV}HDD_PATH={tmp_path}/hdd\nSSD_PATH={tmp_path}/ssd\n")
    (tmp_path / "hdd/mailboxes").mkdir(parents=True)
    (tmp_path / "ssd/mariadb").mkdir(parents=True)
    made = World(Database("sqlite://"))
    Base.metadata.create_all(made.database.engine)
    with made.database.transaction() as session:
        session.add(Domain(name="example.org"))
        carry_out(session, {"set": [{"name": name, "node": f"mail{n}"} for n, name in enumerate("abc", 1)]})
    monkeypatch.setattr(docker, "run", made.run)
    monkeypatch.setattr(shards, "ask", made.ask)
    monkeypatch.setattr(nodes, "running", made.store)
    monkeypatch.setattr(nodes, "answers", lambda address, port: False)
    yield made
    made.database.engine.dispose()


@pytest.fixture
def copied(world: World, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """mail2 has copies of these volumes of mail1; making one a volume is another test's."""
    found: dict[str, Copy] = {}
    monkeypatch.setattr(copies, "held", lambda folder: found if folder.name == "mail1" else {})
    monkeypatch.setattr(copies, "promote", lambda copied, hdd: f"{copied.volume}-2")
    return lambda *names: found.update({name: Copy(name, Path(name), 1.0) for name in names})  # type: ignore[misc]


def test_a_new_mailbox_goes_to_the_emptiest_open_shard(world: World) -> None:
    world.add("a", 2)
    world.add("b", 1)
    with world.database.transaction() as session:
        assert shard_of_new(session) == "c"
        carry_out(session, {"set": [{"name": "c", "open": False}]})
        assert shard_of_new(session) == "b"


@given(st.dictionaries(st.sampled_from("abcdef"), st.integers(0, 1000), min_size=2))
def test_a_plan_levels_what_is_open_and_moves_no_more_than_it_must(held: dict[str, int]) -> None:
    state = {"shards": [{"name": name, "open": True, "mailboxes": count} for name, count in held.items()]}
    after = dict(held)
    for step in shards.levelling(state):
        after[step.source], after[step.target] = (
            after[step.source] - step.mailboxes,
            after[step.target] + step.mailboxes,
        )
    assert max(after.values()) - min(after.values()) <= 1 and sum(after.values()) == sum(held.values())
    assert not any(after[name] < held[name] <= min(after.values()) for name in held)


@given(st.dictionaries(st.sampled_from("abcdef"), st.integers(0, 1000), min_size=2))
def test_a_plan_to_empty_a_shard_takes_all_of_it_to_the_emptiest(held: dict[str, int]) -> None:
    source = min(held)
    state = {"shards": [{"name": name, "open": True, "mailboxes": count} for name, count in held.items()]}
    steps = shards.emptying(state, source)
    assert sum(step.mailboxes for step in steps) == held[source] and all(
        step.source == source for step in steps
    )
    after = {
        name: count + sum(s.mailboxes for s in steps if s.target == name) for name, count in held.items()
    }
    filled = [after[step.target] for step in steps]
    assert not filled or max(filled) - min(filled) <= 1
    assert all(count >= max(filled, default=0) - 1 for name, count in after.items() if name != source)


def test_draining_shows_a_plan_first_and_then_closes_the_shard(world: World, cli: Cli) -> None:
    world.add("a", 5)
    world.add("c", 1)
    shown = cli("node", "drain", "mail1", "--json")
    assert shown.exit_code == 0, shown.output
    assert json.loads(shown.stdout)["plan"] == [
        {"from": "a", "to": "b", "mailboxes": 3},
        {"from": "a", "to": "c", "mailboxes": 2},
    ]
    assert not world.moves()
    done = json.loads(cli("node", "drain", "mail1", "--now", "--json").stdout)
    assert len(done["asked"]) == 5 and len(world.moves()) == 5
    with world.database.transaction() as session:
        assert shard_of_new(session) != "a"


def test_an_address_that_is_none_and_a_shard_that_is_none_are_refused_and_nothing_is_moved(
    world: World, cli: Cli
) -> None:
    world.add("a", 1)
    with (
        pytest.raises(Exception, match="no such mailbox") as refused,
        world.database.transaction() as session,
    ):
        carry_out(session, {"move": {"addresses": ["a0@example.org", "none@example.org"], "to": "b"}})
    assert "none@example.org" in str(refused.value)
    with pytest.raises(Exception, match="no such shard"), world.database.transaction() as session:
        carry_out(session, {"move": {"addresses": ["a0@example.org"], "to": "z"}})
    assert not world.moves()


@pytest.mark.parametrize(
    ("state", "open_port", "switched_off", "says"),
    [
        ("ready", False, True, "is ready for the engine"),
        ("down", True, True, "still answers on port 22"),
        ("down", False, False, "is it switched off?"),
    ],
)
def test_a_host_that_may_still_serve_is_not_taken_over(
    world: World,
    copied: Any,
    cli: Cli,
    monkeypatch: pytest.MonkeyPatch,
    state: str,
    open_port: bool,
    switched_off: bool,
    says: str,
) -> None:
    copied("a")
    world.add("a", 1)
    world.states["mail1"] = state
    monkeypatch.setattr(nodes, "answers", lambda address, port: open_port and port == 22)
    result = cli("node", "fail", "mail1", *(["--switched-off"] if switched_off else []))
    assert result.exit_code == 1 and says in " ".join(result.stderr.split())
    assert set(world.where().values()) == {("a", "a")}
    assert not [words for words in world.said if words[:2] == ("node", "update")]


def test_a_failed_host_is_taken_over_by_its_copies_and_what_it_alone_had_is_merged_when_it_returns(
    world: World, copied: Any, cli: Cli
) -> None:
    copied("a", "c-2")
    world.states["mail1"] = "down"
    for shard, volume in (("a", "a"), ("a", "c-2"), ("b", "b")):
        world.add(shard, 2, volume)
    world.add("a", 1, "a/26")
    with world.database.transaction() as session:
        carry_out(session, {"move": {"addresses": ["aa0@example.org"], "to": "c"}})
    result = cli("node", "fail", "mail1", "--switched-off", "--json")
    assert result.exit_code == 0, result.output
    assert world.where() == {
        "aa0@example.org": ("b", "a-2"),
        "aa1@example.org": ("b", "a-2"),
        "aa/260@example.org": ("b", "a-2/26"),
        "ac-20@example.org": ("b", "c-2-2"),
        "ac-21@example.org": ("b", "c-2-2"),
        "bb0@example.org": ("b", "b"),
        "bb1@example.org": ("b", "b"),
    }
    waiting = world.moves()
    assert [(each.source, each.source_volume, each.target) for each in waiting] == [
        ("a", "a", "b"),
        ("a", "a", "b"),
        ("a", "c-2", "b"),
        ("a", "c-2", "b"),
        ("a", "a/26", "b"),
    ]
    assert all(each.flipped_at and not each.merged_at and each.again_at.year == 9999 for each in waiting)
    assert cli("node", "return", "mail1").exit_code == 0
    assert all(each.again_at.year < 9999 for each in world.moves())
    assert ("node", "update", "--availability", "active", "mail1") in world.said


def test_a_host_that_never_returns_is_not_waited_for(world: World, copied: Any, cli: Cli) -> None:
    copied("a")
    world.states["mail1"] = "down"
    world.add("a", 2)
    assert cli("node", "fail", "mail1", "--switched-off").exit_code == 0
    assert cli("node", "return", "mail1", "--lost").exit_code == 0
    assert not world.moves() and set(world.where().values()) == {("b", "a-2")}


def test_without_a_copy_of_every_volume_nothing_is_taken_over(
    world: World, copied: Any, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    dropped: list[str] = []
    monkeypatch.setattr(copies, "drop", lambda hdd, name: dropped.append(name))
    copied("a")
    world.states["mail1"] = "down"
    world.add("a", 1)
    world.add("a", 1, "c-2")
    monkeypatch.setattr(world, "run", world.run)
    with pytest.raises(Exception, match="no copy of it"):
        cli("node", "fail", "mail1", "--switched-off", catch_exceptions=False)
    assert {where[0] for where in world.where().values()} == {"a"}


def test_copies_go_round_the_hosts_that_have_a_shard(repo: Path, world: World) -> None:
    from mailctl.swarm import inventory

    hosts = inventory.read(repo)
    assert [copies.peer(hosts, node.name).name for node in hosts.nodes] == ["mail2", "mail3", "mail1"]
    with pytest.raises(Refused):
        copies.peer(inventory.Inventory(hosts.nodes[:1]), "mail1")


def test_a_mailbox_move_waits_until_the_target_serves_it(world: World, cli: Cli) -> None:
    world.add("a", 2)
    early = cli("mailbox", "move", "A0@example.org", "--to", "b", "--wait", "0", "--json")
    assert early.exit_code == 1 and json.loads(early.stdout)["left"] == ["a0@example.org"]
    with world.database.transaction() as session:
        for move in session.scalars(select(MailboxMove)):
            move.flipped_at = move.merged_at = move.asked_at
    done = cli("mailbox", "move", "a0@example.org", "--to", "b", "--json")
    assert done.exit_code == 0 and json.loads(done.stdout)["moved"] == ["a0@example.org"]
    shown = cli("node", "list")
    assert "merged" in shown.stdout and "a0@example.org: a to b" in shown.stdout


@pytest.fixture
def begun(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The shards whose disks were begun, without btrfs; folders get their owners, without root."""
    found: list[str] = []
    monkeypatch.setattr(copies, "begin", lambda hdd, shard: not found.append(shard))
    monkeypatch.setattr(os, "chown", lambda path, uid, gid: found.append(f"{path.name} of {uid}"))
    return found


def test_a_host_is_brought_in_by_a_manager_and_on_its_own_disks(
    world: World, cli: Cli, begun: list[str], tmp_path: Path
) -> None:
    there = json.loads(cli("node", "add", "mail1", "--json").stdout)
    assert there["left"] == ["on mail1: .venv/bin/mailctl node add mail1"] and not begun
    words = ("node", "update", "--label-add", "mail.database=1", "--label-add", "mail.shard=a")
    assert [each for each in world.said if each[: len(words)] == words]
    world.manager = False
    for again in (False, True):
        # Before the first deployment nobody may be led there.
        world.stores_run = again
        result = cli("node", "add", "mail2", "--json")
        here = json.loads(result.stdout)
        assert here["left"][0] == "on a manager: .venv/bin/mailctl node add mail2"
        assert ["after the next deployment" in each for each in here["left"][1:]] == [True] * (not again)
        assert ("shard b takes new mailboxes" in here["done"]) == again
        assert ("the folder is already of mariadb-2" in here["done"]) == again
    assert begun == ["mariadb of 999", "b", "b"]
    assert (tmp_path / "ssd/mariadb/.member").read_text() == "mariadb-2\n"
    assert [path.name for path in (tmp_path / "hdd/copies").iterdir()] == ["mail1"], "whose copies come here"


@pytest.mark.parametrize(
    ("there", "said"),
    [
        ({".member": "mariadb-3\n", "mysql": ""}, "mariadb-3"),
        ({"mysql": ""}, "is not empty"),
        ({".first-start": ""}, "is not empty"),
        (None, "is not there"),
    ],
)
def test_a_folder_that_is_not_the_members_own_stays_as_it_is(
    world: World, cli: Cli, begun: list[str], tmp_path: Path, there: dict[str, str] | None, said: str
) -> None:
    folder = tmp_path / "ssd/mariadb"
    for name, text in (there or {}).items():
        (folder / name).write_text(text)
    if there is None:
        folder.rmdir()
    result = cli("node", "add", "mail2")
    assert result.exit_code == 1 and said in " ".join(result.stderr.split())
    assert not begun and {path.name for path in tmp_path.glob("ssd/mariadb/*")} == {*(there or ())}
