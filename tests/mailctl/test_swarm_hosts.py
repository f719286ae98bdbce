"""What a host of several finds on itself: its tasks, under the names of docker-compose.yml."""

import copy
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from backup_host import BOX, BackupHost
from conftest import Cli
from fakes import FakeDocker, FakeEngine, container
from restore_scene import LEARNED, archive

from mailctl.backup.restore import cluster
from mailctl.core import aws, containers, homes, placement, snapshots
from mailctl.core.context import Context
from mailctl.core.errors import Refused
from mailctl.core.stack import runtime
from mailctl.monitor.facts import Facts
from mailctl.monitor.handover import MEASURE, tell

STACK, TASK = "com.docker.stack.namespace", "com.docker.swarm.service.name"
COMPOSE = """name: shop-mail
services:
  mariadb: {x-per: database}
  valkey: {x-per: database}
  dovecot: {}
  dovecot-store: {x-per: shard}
  usermgmt: {}
"""
NODES = """nodes:
  - {name: mail1, address: 10.0.0.1, database: 1, shard: a}
  - {name: mail2, address: 10.0.0.2, database: 2, shard: b}
"""


def task(service: str, number: int = 1, **changes: Any) -> dict[str, Any]:
    """A task's container, as the engine of its host describes it."""
    made = copy.deepcopy(container(f"{service}-{number}", **changes))
    made["Config"]["Labels"] = {STACK: "shop-mail", TASK: f"shop-mail_{service}"}
    made["State"]["StartedAt"] = f"2026-01-02T03:04:{number:02}Z"
    return made


@pytest.fixture
def mail2(repo: Path, engine: FakeEngine, docker: FakeDocker) -> Callable[..., None]:
    """The host mail2, with its mail on its disk; called with the containers that it has."""
    (repo / "docker-compose.yml").write_text(COMPOSE)
    (repo / "nodes.yml").write_text(NODES)
    served = repo / "hdd/mailboxes"
    (served / "b").mkdir(parents=True)
    (served / ".shard").write_text("b\n")
    with (repo / ".env").open("a") as env:
        env.write(f"HDD_PATH={repo}/hdd\n")
    docker.answer("shards", json.dumps({"found": {"shard": "a", "node": "mail1"}}))

    def has(*there: dict[str, Any]) -> None:
        engine.containers = list(there)

    has(*(task(name) for name in ("mariadb-2", "dovecot-store-b", "usermgmt")))
    return has


def test_a_member_is_found_by_the_name_that_the_file_has(mail2: Any, context: Context) -> None:
    assert set(containers.all_of(context)) == {"mariadb", "dovecot-store", "usermgmt"}
    assert containers.running(context, "mariadb") == task("mariadb-2")["Id"]


def test_of_several_tasks_that_which_runs_and_is_healthy_counts(mail2: Any, context: Context) -> None:
    ended = {"status": "exited", "health": None}
    mail2(
        task("usermgmt", 3, health="starting"),
        task("usermgmt", 2),
        task("usermgmt", 4, **ended),
        task("dovecot", 1, **ended),
        task("dovecot-store-b", 1, **ended),
    )
    there = containers.all_of(context)
    assert there["usermgmt"].id == task("usermgmt", 2)["Id"]
    # A proxy that ended here runs elsewhere; the store runs nowhere else.
    assert "dovecot" not in there
    assert not there["dovecot-store"].ok


def test_what_has_no_task_here_is_refused_with_the_way_to_where_it_has(mail2: Any, context: Context) -> None:
    with pytest.raises(Refused, match="on this host") as refused:
        containers.running(context, "dovecot")
    assert "docker service ps shop-mail_dovecot" in refused.value.problems[0].fix


@pytest.mark.parametrize(
    "words",
    [
        ("import", "mail", "ada@example.com", "mail"),
        ("restore", "--from", ".", "--mailbox", "ada@example.com"),
    ],
    ids=["import", "restore"],
)
def test_a_mailbox_of_another_host_is_refused_with_its_name(
    mail2: Any, cli: Cli, words: tuple[str, ...]
) -> None:
    result = cli(*words)
    assert result.exit_code == 1
    assert "its mailbox is on mail1 (shard a)" in " ".join(result.stderr.split())


def test_a_mailbox_of_this_host_is_not_refused(mail2: Any, docker: FakeDocker, context: Context) -> None:
    docker.answer("shards", json.dumps({"found": {"shard": "b", "node": "mail2"}}))
    placement.refuse_elsewhere(context, "ada@example.com")


MOVED = "b/261129050000000000"


@pytest.fixture
def saving(repo: Path, engine: FakeEngine, docker: FakeDocker, mail2: Any) -> BackupHost:
    """mail2 with a mailbox that has moved there, and two folders that other moves left."""
    host = BackupHost(repo, engine, docker, hdd=repo / "disk")
    served = host.hdd / "mailboxes"
    (served / MOVED).mkdir(parents=True)
    (served / "example.com").rename(served / MOVED / "example.com")
    (served / ".shard").write_text("b\n")
    for left in ("b/example.com/ada", "b/example.com/bert"):
        (served / left / "mail/cur").mkdir(parents=True)
        (served / left / "mail/dovecot.index").touch()
    there = [task(name) for name in ("mariadb-2", "valkey-2", "dovecot-store-b", "rspamd", "usermgmt")]
    mail2(*there)
    docker.answer(f"{there[1]['Id']}:/data/appendonlydir", archive(LEARNED).decode())
    docker.answer(f"{there[3]['Id']}:/var/lib/rspamd/dkim", archive({"dkim/x.key": b"key\n"}).decode())
    docker.answer("label=com.docker.swarm.service.name=shop-mail_mariadb-2", "c-2\n")
    docker.answer("/usr/local/bin/member-state", "mariadb-2 member 1 6f7c0a4e 8\n")
    says(docker, {BOX: MOVED})
    return host


def says(docker: FakeDocker, served: dict[str, str], *moving: str) -> None:
    """What usermgmt answers of this host's mailboxes."""
    docker.answer("shards", json.dumps({"homes": {"served": served, "moving": moving}}))


def test_a_host_saves_the_mailboxes_that_it_serves_and_what_its_members_have(
    saving: BackupHost, cli: Cli
) -> None:
    done = cli("backup", "--json")
    assert done.exit_code == 0, done.output
    found = snapshots.latest(saving.hdd)
    assert found is not None
    assert found.manifest.document["share"] == {"host": "mail2", "shard": "b", "volumes": ["b"]}
    assert {name: box["messages"] for name, box in found.mailboxes.items()} == {"ada@example.com": 30}
    # Calendars are on the host of the first member.
    assert set(found.manifest.components) == {"mail", "mysql", "config", "ssl", "dkim", "learned"}


def test_without_an_answer_where_its_mailboxes_are_a_host_saves_none_and_says_so(
    saving: BackupHost, docker: FakeDocker, cli: Cli
) -> None:
    docker.answer("shards", stderr="the database does not answer", code=1)
    done = cli("backup", "--json")
    assert done.exit_code == 1
    assert "the database does not answer" in " ".join(done.stderr.split())
    assert snapshots.latest(saving.hdd) is None


def test_what_moves_left_is_removed_and_what_is_served_moved_or_holds_mail_is_not(
    saving: BackupHost, docker: FakeDocker, context: Context, cli: Cli
) -> None:
    docker.answer("purge", json.dumps({"homes": []}))
    docker.answer("--raw", "")
    served = saving.hdd / "mailboxes"
    (served / "b/example.com/cleo/mail/new").mkdir(parents=True)
    (served / "b/example.com/cleo/mail/new/1.mail").touch()
    (served / "a-2/example.com/ada/mail/cur").mkdir(parents=True)
    says(docker, {BOX: MOVED}, "example.com/bert")
    done = cli("purge", "--json")
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["homes"] == ["b/example.com/ada"]
    left = {place for place, _ in homes.every(served)}
    kept = {f"{MOVED}/{BOX}", "b/example.com/bert", "b/example.com/cleo", "a-2/example.com/ada"}
    assert left == kept


def test_each_host_has_a_place_of_its_own_in_s3(mail2: Any, context: Context) -> None:
    with (context.repo / ".env").open("a") as env:
        env.write("BACKUP_BUCKET=b\nBACKUP_REGION=r\nBACKUP_PREFIX=mailserver/\n")
    with pytest.raises(Refused, match="this host's name"):
        aws.place(context)


def test_what_every_host_uses_is_not_replaced_by_the_restore_of_one(mail2: Any, cli: Cli) -> None:
    done = cli("restore", "--from", ".", "--component", "mysql", "--yes")
    assert done.exit_code == 1
    assert cluster.STEPS in " ".join(done.stderr.split())


def test_each_host_says_how_full_the_mailboxes_of_its_shard_are_and_nothing_of_the_server_unless_it_leads(
    mail2: Any, docker: FakeDocker, context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mailctl.monitor.cluster.leads", lambda _: False)
    monkeypatch.setattr("mailctl.monitor.cluster.told", lambda _: {"name": "mail2"})
    docker.answer(MEASURE, "Username\tType\tValue\nada@example.com\tSTORAGE\t12\n")
    docker.answer("host-news", "[]")
    with runtime(context) as server:
        tell(Facts(context, server, {}, time.time()), {"incidents": ["of this host"]})
    [asked] = docker.calls_with(MEASURE)
    assert "shop-mail-dovecot-store-b" in " ".join(asked["arguments"])
    [call] = docker.calls_with("host-news")
    said = {"incidents": [], "whole": False, "host": {"name": "mail2"}, "shard": "b"}
    assert json.loads(call["stdin"]) == {**said, "usage": {"ada@example.com": 12288}}


def test_status_draws_every_host_with_what_it_last_said(
    mail2: Any, docker: FakeDocker, engine: FakeEngine, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    docker.configure(mariadb={"image": "mariadb:11"}, usermgmt={"build": {"context": "."}})
    nodes = [
        {"id": f"n{n}", "name": f"mail{n}", "state": state, "leader": n == 2}
        for n, state in ((1, "down"), (2, "ready"))
    ]
    services = [{"name": "usermgmt", "hosts": ["mail2"]}, {"name": "mariadb-2", "hosts": ["mail2"]}]
    monkeypatch.setattr("mailctl.swarm.status.nodes", lambda: nodes)
    monkeypatch.setattr("mailctl.swarm.status.services", lambda *_: services)
    said = {"name": "mail2", "member": "writer", "copied_at": time.time() - 40, "at": time.time()}
    docker.answer("shards", json.dumps({"hosts": {"mail2": said}}))
    done = cli("status", "--json")
    first, second = json.loads(done.stdout)["hosts"]
    assert (first["ok"], first["state"], first["member"], first["tasks"]) == (False, "down", "1 ?", 0)
    assert (second["role"], second["member"], second["tasks"]) == ("leader", "2 writer", 2)
    assert second["copy_seconds"] == pytest.approx(40, abs=30)
    assert done.exit_code == 1
    shown = " ".join(cli("status").stdout.split())
    assert "mail1 down manager 1 ? a ? 0" in shown
    assert "Not ready: mail1" in shown
