"""Outages and quiet examples of the conditions of several hosts (test_monitor_conditions.py)."""

from typing import Any

from monitor_scene import DAY, NOW

from mailctl.core.members import Member

NODES = """nodes:
  - {name: mail1, address: 10.0.0.1, database: 1, shard: a}
  - {name: mail2, address: 10.0.0.2, database: 2, shard: b}
"""
COMPOSE = "name: shop-mail\nservices: {postfix: {}, mariadb: {x-per: database}}\n"
LEADER = {"manager": True, "leads": True, "error": ""}
Case = dict[str, Any]


def several(**kept: Any) -> Case:
    """A case on the leader of two hosts, both ready, unless `kept` says otherwise."""
    nodes = [node("mail1"), node("mail2")]
    usual = {"containers": {}, "swarm": LEADER, "nodes": nodes, "services": [service("postfix")]}
    usual |= {"member": Member("mariadb-2", "", "c", "member"), "risk": {"b": 30.0}}
    files = {"nodes.yml": NODES, "docker-compose.yml": COMPOSE}
    return {"files": files, "memory": {"began": NOW - 10 * DAY}, **usual, **kept}


def node(name: str, state: str = "ready") -> Case:
    return {"id": name, "name": name, "state": state, "leader": name == "mail2"}


def service(name: str, running: int = 2, wanted: int = 2, failed: int = 0) -> Case:
    return {"name": name, "running": running, "wanted": wanted, "failed": failed, "why": "no suitable node"}


def only(name: str) -> Case:
    """With one host there is nothing of the kind to see."""
    return {name: None}


HALF = [service("postfix", 1), service("mariadb-1", 0, 1)]
DOWN = [node("mail1", "down"), node("mail2")]
MAJORITY = {"manager": True, "leads": False, "error": "The swarm does not have a leader"}
CASES: dict[str, tuple[list[tuple[Case, set[str]]], list[Case]]] = {
    "host-down": ([(several(nodes=DOWN), {"host-down-mail1"})], [several(), only("nodes")]),
    "majority": (
        [(several(swarm=MAJORITY), {"majority"})],
        [several(), several(swarm=MAJORITY | {"manager": False}), only("swarm")],
    ),
    "replicas": (
        [
            (several(services=HALF), {"replicas-postfix", "replicas-mariadb-1"}),
            # What is pinned to a host that is down is that outage, and no second one.
            (several(services=HALF, nodes=DOWN), {"replicas-postfix"}),
        ],
        [several(), only("services")],
    ),
    "task-restarts": (
        [(several(services=[service("postfix", failed=3)]), {"task-restarts-postfix"})],
        [several(services=[service("postfix", failed=2)]), only("services")],
    ),
    "member": (
        [(several(member=Member("mariadb-2", "", "c", "waiting")), {"member"})],
        # Without a container the service is down, which is said already.
        [several(), several(member=Member("mariadb-2")), several(member=None), only("member")],
    ),
    "second-copy": (
        [
            (several(risk={"b": 200.0, "a-2": 30.0}), {"second-copy-b"}),
            (several(risk={"b": None}), {"second-copy-b"}),
        ],
        [
            several(risk={"b": 170.0}),
            several(risk={"b": None}, memory={"began": NOW - 60}),
            several(risk={}),
            {"risk": {}},
        ],
    ),
    "swarm-check": (
        [
            (
                {**several(), "left": ("swarm-check", {"at": NOW, "differing": {"web.1": ["cap"]}})},
                {"swarm-check-web.1"},
            ),
            (
                {**several(), "left": ("swarm-check", {"at": NOW - 2 * DAY, "differing": {}})},
                {"swarm-check-old"},
            ),
            (several(), {"swarm-check-old"}),
        ],
        [{**several(), "left": ("swarm-check", {"at": NOW, "differing": {}})}, {}],
    ),
}
