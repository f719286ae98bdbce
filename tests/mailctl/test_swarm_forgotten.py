"""Services that the engine no longer tries to start: which are started by force, when, and by whom."""

from collections.abc import Callable
from copy import deepcopy
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from fake_swarm import FakeSwarm

from mailctl.core.errors import Refused
from mailctl.swarm import converge, docker, forgotten, kept

FORCE = ("service", "update", "--detach", "--force", "m_store-c")
NAME = "m_store-c"


def ago(seconds: float) -> str:
    return (datetime.now(UTC) - timedelta(seconds=seconds)).isoformat()


def waiting(seconds: float = 60) -> dict[str, Any]:
    """A task that waits for its host."""
    said = "no suitable node (1 node not available for new tasks)"
    status = {"State": "pending", "Err": said, "Timestamp": ago(seconds)}
    made = {"ServiceID": "id-c", "Status": status, "DesiredState": "running", "CreatedAt": ago(seconds)}
    return made | {"Spec": {"ContainerSpec": {}}}


RUNNING = waiting() | {"NodeID": "id3", "Status": {"State": "running", "Err": "", "Timestamp": ago(60)}}


def pinned(*constraints: str, force: int = 0, forced: int = 0) -> dict[str, Any]:
    template = {"ContainerSpec": {}, "ForceUpdate": force, "Placement": {"Constraints": list(constraints)}}
    spec = {"Name": NAME, "Mode": {"Replicated": {"Replicas": 1}}, "TaskTemplate": template}
    before = deepcopy(spec)
    before["TaskTemplate"]["ForceUpdate"] = forced
    return {"ID": "id-c", "Spec": spec, "PreviousSpec": before, "UpdatedAt": ago(60), "tasks": [waiting()]}


@pytest.fixture
def swarm(monkeypatch: pytest.MonkeyPatch) -> FakeSwarm:
    """The third host has been back for a minute; the task of its store still waits."""
    fake = FakeSwarm()
    monkeypatch.setattr(docker, "run", fake.run)
    monkeypatch.setattr(converge, "POLL_SECONDS", 0.001)
    fake.services[NAME] = pinned("node.labels.mail.shard==c")
    for node in fake.nodes:
        node["UpdatedAt"] = ago(60)
    return fake


def look(swarm: FakeSwarm) -> int:
    """How many services were started by a look."""
    said: list[str] = []
    swarm.calls.clear()
    forgotten.look("m", said.append)
    started = swarm.calls.count(FORCE)
    assert len(said) == started and kept.current("m") is None
    return started


def test_a_service_that_waits_beside_its_ready_host_is_started_once(swarm: FakeSwarm) -> None:
    said: list[str] = []
    forgotten.look("m", said.append)
    assert swarm.calls.count(FORCE) == 1 and said == [
        "started store-c again: mail3 is ready, and the engine no longer tried it"
    ]
    assert look(swarm) == 0, "it runs"


def service(swarm: FakeSwarm, **changes: Any) -> None:
    swarm.services[NAME] |= changes


def host(swarm: FakeSwarm, **changes: Any) -> None:
    swarm.nodes[2] |= changes


SPEC = {"Labels": {"mail.shard": "c"}}
#: What leaves it alone, by why; moments are reckoned when the test runs.
ALONE: dict[str, tuple[Any, Callable[[], dict[str, Any]]]] = {
    "it runs": (service, lambda: {"tasks": [RUNNING]}),
    "one of its tasks runs": (service, lambda: {"tasks": [waiting(), RUNNING]}),
    "it has waited for a moment": (service, lambda: {"tasks": [waiting(0)]}),
    "the host has been back for a moment": (host, lambda: {"UpdatedAt": ago(0)}),
    "the engine has chosen the host": (service, lambda: {"tasks": [waiting() | {"NodeID": "id3"}]}),
    "nothing is asked for": (service, lambda: {"tasks": [waiting() | {"DesiredState": "shutdown"}]}),
    "the host is down": (host, lambda: {"Status": {"State": "down"}}),
    "the host is drained, as a failed one is": (host, lambda: {"Spec": SPEC | {"Availability": "drain"}}),
    "the host takes nothing new": (host, lambda: {"Spec": SPEC | {"Availability": "pause"}}),
    "an update is under way": (service, lambda: {"UpdateStatus": {"State": "updating"}}),
    "a rollback is under way": (service, lambda: {"UpdateStatus": {"State": "rollback_started"}}),
    "it was just started by force": (service, lambda: pinned("node.labels.mail.shard==c", force=1)),
    "it is not pinned": (service, lambda: pinned()),
    "two hosts may have it": (service, lambda: pinned("node.labels.mail.queue==yes")),
    "no host may have it": (
        service,
        lambda: pinned("node.labels.mail.shard==c", "node.labels.mail.shard==a"),
    ),
    "what pins it is not understood": (
        service,
        lambda: pinned("node.labels.mail.shard==c", "node.role!=worker"),
    ),
}


@pytest.mark.parametrize("why", ALONE)
def test_it_is_left_alone_while(swarm: FakeSwarm, why: str) -> None:
    for node in swarm.nodes:
        node["Spec"]["Labels"]["mail.queue"] = "yes"
    change, to = ALONE[why]
    change(swarm, **to())
    assert look(swarm) == 0


def test_what_does_not_start_is_tried_again_after_minutes_or_by_a_deployment(swarm: FakeSwarm) -> None:
    swarm.services[NAME] = pinned("node.hostname == mail3", force=1) | {"UpdatedAt": ago(400)}
    assert look(swarm) == 1
    swarm.services[NAME] = pinned("node.hostname == mail3", force=1, forced=1)
    assert look(swarm) == 1


def test_while_another_host_changes_the_stack_nothing_is_started(swarm: FakeSwarm) -> None:
    with kept.taken("m", "mailctl swarm deploy", "c"):
        swarm.here = "mail2"
        with pytest.raises(Refused, match="mailctl swarm deploy on mail1"):
            forgotten.look("m", print)
    assert FORCE not in swarm.calls


def test_a_deployment_that_waits_for_it_starts_it(swarm: FakeSwarm) -> None:
    said: list[str] = []
    assert converge.wait("m", ["store-c"], datetime.now(UTC), said.append) == {}
    assert swarm.calls.count(FORCE) == 1 and said[0].startswith("started store-c again")
