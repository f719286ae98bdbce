"""Mail waits while a version is tried; wherever it is killed, what was held is released, and nothing else."""

import json
import os
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import pytest
from fake_runtime import World
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from test_deploy import CHANGES, EXAMPLES, OLD, deploy, killed, started
from walk import judge

from mailctl.core import hold as files
from mailctl.core.runtime import Service
from mailctl.deploy import hold, preflight, work
from mailctl.deploy.plan import changes, snapshot
from mailctl.deploy.records import Records


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    """A host on which the first commit runs well, and an operator holds a mail."""
    monkeypatch.setattr(preflight, "refuse", lambda *_: None)
    return started(tmp_path)


def is_open(world: World) -> None:
    """Nothing of ours is on hold, what an operator holds still is, and everybody's mail is taken."""
    state = world.load()
    assert state["held"] == ["by-hand"] and not state["frozen"]
    assert [path for path in (world.ssd / "hold").rglob("*") if path.is_file()] == []
    assert not (world.ssd / ".mailctl/deploy/held.json").exists()


@pytest.mark.parametrize("change", sorted(CHANGES))
def test_nothing_goes_out_by_what_is_tried_and_all_of_it_is_released(world: World, change: str) -> None:
    document = deploy(world, world.commit(**CHANGES[change][0]))
    assert world.load()["escaped"] == []
    is_open(world)
    held = {"a configuration": ["postfix"], "a service that goes": ["postfix"], "a lost canary": None}
    assert (document["held"] or {}).get("services") == held.get(change, ["mariadb", "postfix"])


@pytest.mark.series
@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    change=st.sampled_from(sorted(CHANGES)),
    steps=st.lists(st.integers(1, 75), min_size=1, max_size=3),
    knows=st.booleans(),
)
def test_killed_at_any_step_it_ends_with_nothing_of_ours_on_hold(
    change: str, steps: list[int], knows: bool
) -> None:
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(preflight, "refuse", lambda *_: None)
        patch.setattr(os, "fsync", lambda _fd: None)
        world = started(Path(folder))
        world.store({**world.load(), "knows": knows})
        old, new = world.commits[0], world.commit(**CHANGES[change][0])
        world.git("checkout", "-q", old)
        for step in steps:
            killed(world, step, lambda host: work.deploy(host, new))
        deploy(world, world.git("rev-parse", "HEAD"))
        is_open(world)
        assert world.load()["escaped"] == []


def test_what_cannot_change_how_mail_goes_holds_nothing(world: World) -> None:
    document = deploy(world, world.commit(**{**OLD, "usermgmt": "one/two"}))
    assert document["result"] == "deployed" and document["held"] is None
    assert not any("postsuper" in words for words in world.load()["asked"])


def test_a_migration_is_reason_enough() -> None:
    found = hold.needed({"usermgmt": "another image"}, (), True, False, None)
    assert found and found["why"] == "usermgmt: migrates the accounts' tables"


def test_a_postfix_that_does_not_know_the_table_is_stopped_and_comes_back(world: World) -> None:
    world.store({**world.load(), "knows": False})
    document = deploy(world, world.commit(mariadb="two", postfix="two", usermgmt="one"))
    assert document["result"] == "deployed" and "postfix" in world.runs()
    assert world.load()["escaped"] == []
    is_open(world)


def lost(world: World) -> World:
    """Neither the new version's canaries come back nor the old one's, as after an outage elsewhere."""
    state = world.load()
    state["containers"]["usermgmt"]["read"] = "one lost"
    world.store(state)
    return world


def test_mail_stays_on_hold_while_not_even_the_old_version_is_known_to_work(world: World) -> None:
    document = deploy(lost(world), world.commit(**{**OLD, "postfix": "one/two"}))
    assert document["result"] == "rolled-back" and "stays on hold" in document["reason"]
    assert world.load()["frozen"] and len(world.load()["held"]) > 1
    context = world.host().context
    assert files.word(context) and files.since(context)


def test_the_next_deployment_tries_again_and_releases_what_the_last_one_left(world: World) -> None:
    old = world.commits[0]
    deploy(lost(world), world.commit(**{**OLD, "postfix": "one/two"}))
    began = files.since(world.host().context)
    state = world.load()
    state["containers"]["usermgmt"]["read"] = "one"
    world.store(state)
    document = deploy(world, old)
    assert document["ok"] and document["held"]["seconds"] >= 0 and began
    is_open(world)


def test_the_word_is_known_while_mail_is_held_and_at_no_other_time(world: World) -> None:
    host = world.host()
    heard: list[str | None] = []
    host.canaries = lambda _past: heard.append(files.word(host.context)) or []  # type: ignore[func-returns-value]
    work.deploy(host, world.commit(**{**OLD, "postfix": "one/two"}))
    assert heard[0] and files.word(host.context) is None


def test_a_journal_of_a_newer_version_can_be_read(world: World) -> None:
    killed(world, 20, lambda host: work.deploy(host, world.commit(**{**OLD, "postfix": "two"})))
    path = world.ssd / ".mailctl/deploy/journal.json"
    document: dict[str, Any] = json.loads(path.read_text())
    path.write_text(json.dumps({**document, "new": 1, "target": {**document["target"], "newer": 2}}))
    assert Records(path.parent).journal()


def test_the_history_says_what_was_held_and_for_how_long(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    deploy(world, world.commit(**{**OLD, "postfix": "one/two"}))
    host = world.host()
    capsys.readouterr()
    work.show_history(host.context, host.records)
    judge(("history",), printed := capsys.readouterr().out)
    assert json.loads(printed)["deployments"][0]["held"]["services"] == ["postfix"]


DOVECOT = """mail_path = ~/mail # here
protocol imap {{
  mail_max_userip_connections = {count}
}}
userdb sql {{
  query = SELECT home \\
    FROM {table}
}}
"""


def dovecot(tree: Path, device: str = "/hdd/mailboxes", **changes: str) -> Service:
    """Dovecot of a tree, and where its mailboxes lie."""
    text = DOVECOT.format(**{"count": "50", "table": "mailboxes", **changes})
    (tree / "config/dovecot").mkdir(parents=True)
    (tree / "config/dovecot/dovecot.conf").write_text(text)
    volumes = {"/srv/vmail": ["mail_data", {"driver_opts": {"device": device}}], "/run/x": [device, None]}
    return Service("dovecot", "dovecot", "same", around={"volumes": volumes, "networks": {}})


@pytest.mark.parametrize(
    ("changes", "moves"),
    [({}, False), ({"count": "60"}, False), ({"table": "others"}, True), ({"device": "/hdd/others"}, True)],
)
def test_imap_is_closed_when_mailboxes_move(tmp_path: Path, changes: dict[str, str], moves: bool) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    live, services = {"dovecot": dovecot(old)}, {"dovecot": dovecot(new, **changes)}
    if changes.get("device"):
        assert services["dovecot"].around != live["dovecot"].around
    assert hold.moves_mail(old, new, live, services) is moves


def test_a_volume_or_network_that_is_another_counts_as_the_services_change(world: World) -> None:
    host = world.host()
    services = host.runtime.services(world.repo)
    before = snapshot(host.runtime, host.tree, services, host.tree.head, None)
    images = {name: found.image_id for name, found in host.runtime.running().items()}
    moved = {"volumes": {}, "networks": {"mail": {"internal": False}}}
    services["postfix"] = Service(**{**vars(services["postfix"]), "around": moved})
    planned = changes(host.runtime, host.tree, services, before, images, staged=False)
    assert planned == {"postfix": "other volumes or networks"}


BY = "by mail.example.com (Postfix) with ESMTPS id 4jcBMM5VRKz7Ggw"
TOP = f"Received: from mailserver-api.internal (api [10.0.0.5])\n\t{BY}"


@pytest.mark.parametrize(
    ("header", "held"),
    [
        (f"{TOP}\n\tfor <ada@example.com>; Sat, 28 Nov 2026 13:43:43 +0000 (UTC)", True),
        (f"{TOP}; Sat, 28 Nov 2026 13:43:43 +0000 (UTC)", True),
        ("Received: by mail.example.com (Postfix)\n\tid 4jcBMM5VRKz7Ggw; Sat, 28 Nov 2026 13:43:43", True),
        ("Received: by mail.example.com (Postfix, from userid 0)\n\tid 4jcBMM5VRKz7Ggw; Sat", True),
        (f"{TOP}\n\tfor <canary-ab12@example.com>; Sat, 28 Nov 2026 13:43:43 +0000 (UTC)", False),
        (f"{TOP}\n\tfor <anybody-1@all.mailctl-canary.test>; Sat, 28 Nov 2026 13:43:43 +0000", False),
        (f"{TOP}\n\tfor <ada@canary-islands.example>; Sat, 28 Nov 2026 13:43:43 +0000", True),
        ("Received: from a.example by mx.cloudflare.net for <ada@example.com>; Sat", False),
        ("Subject: for <ada@example.com> (Postfix)", False),
    ],
)
def test_postfix_holds_what_it_takes_but_for_the_canaries_mail(
    tmp_path: Path, header: str, held: bool
) -> None:
    table = tmp_path / "header_checks"
    table.write_text(files.HOLD_ALL)
    command = ["/usr/sbin/postmap", "-q", header, f"regexp:{table}"]
    found = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    assert found.startswith("HOLD ") is held
