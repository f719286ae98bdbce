"""Services that the engine no longer tries to start, and how they are started.

A deployment gives every service a new revision, also where it changes nothing. Seen of engine 26: a task that
waits for its host meanwhile stays the service's task, but is of an old revision, and is never looked at again
when the host is back. A forced update replaces it.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from mailctl.swarm import docker, kept

#: So long both the task has waited and the host has been ready: the engine needs a second or two.
PATIENCE_SECONDS = 20.0
#: A service that was started by force is left alone for so long.
AGAIN_SECONDS = 300.0
#: A constraint that names hosts. What says it in another way pins nothing for us.
PLACE = re.compile(r"node\.(?:hostname|labels\.([^\s=!]+))\s*==\s*(\S+)")
UNDER_WAY = ("updating", "rollback_started")
Found = Mapping[str, Mapping[str, Any]]
Tasks = Mapping[str, Sequence[Mapping[str, Any]]]


def find(services: Found, tasks: Tasks) -> dict[str, str]:
    """The services that wait though their one host takes tasks; the host of each. Raises Refused."""
    now = datetime.now(UTC)
    waiting = {
        name: service
        for name, service in services.items()
        if _waits(tasks.get(service["ID"], ()), now) and not _updated(service, now)
    }
    nodes = docker.nodes() if waiting else []
    homes = {name: _home(service, nodes) for name, service in waiting.items()}
    return {
        name: str(home["Description"]["Hostname"])
        for name, home in homes.items()
        if home and docker.takes(home) and _age(home["UpdatedAt"], now) > PATIENCE_SECONDS
    }


def start(stack: str, services: Found, tasks: Tasks, say: Callable[[str], None]) -> None:
    """Start those of these services by force. Whoever calls it has the turn. Raises Refused."""
    for name, host in sorted(find(services, tasks).items()):
        docker.run("service", "update", "--detach", "--force", f"{stack}_{name}")
        say(f"started {name} again: {host} is ready, and the engine no longer tried it")


def look(stack: str, say: Callable[[str], None]) -> None:
    """Start what was forgotten in the whole stack. Raises Refused: somebody else changes the stack.

    The caller has this host's lock of deployments.
    """
    if find(docker.services(stack), docker.tasks(stack)):
        with kept.taken(stack, "starting what waits", ""):
            start(stack, docker.services(stack), docker.tasks(stack), say)


def _waits(tasks: Sequence[Mapping[str, Any]], now: datetime) -> bool:
    """Whether nothing of it runs or is about to: a forced update may disturb nothing."""
    wanted = [each for each in tasks if each["DesiredState"] == "running"]
    return bool(wanted) and all(
        each["Status"]["State"] == "pending"
        and not each.get("NodeID")
        and _age(each["CreatedAt"], now) > PATIENCE_SECONDS
        for each in wanted
    )


def _updated(service: Mapping[str, Any], now: datetime) -> bool:
    """Whether an update of it is under way, or was forced a moment ago."""
    if (service.get("UpdateStatus") or {}).get("State") in UNDER_WAY:
        return True
    specs = (service["Spec"], service.get("PreviousSpec") or service["Spec"])
    is_, was = (each["TaskTemplate"].get("ForceUpdate", 0) for each in specs)
    return bool(is_ != was and _age(service["UpdatedAt"], now) < AGAIN_SECONDS)


def _home(service: Mapping[str, Any], nodes: Sequence[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    """The only host that its constraints leave; None: there are more, or none, or they say something else."""
    constraints = (service["Spec"]["TaskTemplate"].get("Placement") or {}).get("Constraints") or ()
    places = [PLACE.fullmatch(each.strip()) for each in constraints]
    left = [node for node in nodes if all(place and _fits(node, *place.groups()) for place in places)]
    return left[0] if len(left) == 1 else None


def _fits(node: Mapping[str, Any], label: str | None, value: str) -> bool:
    if label is None:
        return bool(node["Description"]["Hostname"] == value)
    return bool((node["Spec"].get("Labels") or {}).get(label) == value)


def _age(moment: str, now: datetime) -> float:
    return (now - datetime.fromisoformat(moment)).total_seconds()
