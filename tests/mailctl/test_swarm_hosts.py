"""What a host of several finds on itself: its tasks, under the names of docker-compose.yml."""

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import Cli
from fakes import FakeDocker, FakeEngine, container

from mailctl.core import containers, placement
from mailctl.core.context import Context
from mailctl.core.errors import Refused

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
