"""What runs where (`mailctl swarm status`), and what this host's tasks may do (`mailctl swarm check`)."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from mailctl.swarm import converge, docker, hardening
from mailctl.swarm.model import Model

#: What the monitor reads of the last check (core/monitoring.py).
CHECK = "swarm-check"
#: For so long a task that failed counts.
FAILED_SECONDS = 900
SERVICE_LABEL = "com.docker.swarm.service.name"


def nodes() -> list[dict[str, Any]]:
    """Each host of the Swarm, by name."""
    found = [
        {
            "name": each["Description"]["Hostname"],
            "state": each["Status"]["State"],
            "availability": each["Spec"]["Availability"],
            "manager": (each.get("ManagerStatus") or {}).get("Reachability"),
            "leader": bool((each.get("ManagerStatus") or {}).get("Leader")),
            "engine": each["Description"]["Engine"]["EngineVersion"],
            "labels": each["Spec"].get("Labels") or {},
            "id": each["ID"],
        }
        for each in docker.nodes()
    ]
    return sorted(found, key=lambda each: str(each["name"]))


def me() -> dict[str, Any]:
    """What this host is in its Swarm: a manager, the one that leads; `error`: why managers cannot agree."""
    swarm = docker.info().get("Swarm") or {}
    manager, error = bool(swarm.get("ControlAvailable")), str(swarm.get("Error") or "")
    mine = [each for each in nodes() if each["id"] == swarm.get("NodeID")] if manager and not error else []
    return {"manager": manager, "leads": any(each["leader"] for each in mine), "error": error}


def services(stack: str, hosts: Mapping[str, str]) -> list[dict[str, Any]]:
    """Each service of the stack: how many tasks run, where, and why not all.

    `hosts` are the names, by id, of those that are ready: of others the engine still says that tasks run.
    """
    found, every = [], docker.tasks(stack)
    for name, service in sorted(docker.services(stack).items()):
        tasks = every.get(service["ID"], [])
        wanted = [each for each in tasks if each["DesiredState"] == "running"]
        there = [each for each in wanted if each.get("NodeID") in hosts]
        running = [each for each in there if each["Status"]["State"] == "running"]
        number = converge.replicas(service)
        # One on each host: what is on a host that is down is counted with it.
        number = len(there) if number is None else number
        image = service["Spec"]["TaskTemplate"]["ContainerSpec"]["Image"]
        found.append(
            {
                "name": name,
                "running": len(running),
                "wanted": number,
                "hosts": sorted(hosts[each["NodeID"]] for each in running),
                "image": image,
                "update": (service.get("UpdateStatus") or {}).get("State"),
                "failed": sum(map(_failed_of_late, tasks)),
                "why": "" if len(running) >= number > 0 else converge.last_error(tasks),
            }
        )
    return found


def _failed_of_late(task: Mapping[str, Any]) -> bool:
    at = datetime.fromisoformat(f"{task['Status']['Timestamp'][:19]}+00:00")
    late = (datetime.now(UTC) - at).total_seconds() < FAILED_SECONDS
    return late and task["Status"]["State"] in ("failed", "rejected")


def here(model: Model) -> tuple[int, dict[str, list[str]]]:
    """How many tasks of the stack run on this host, and what of each is not as the model says.

    Needs root: the kernel shows a task's mounts to nobody else.
    """
    wanted = {
        f"{model.project}_{service.name}": hardening.expected(service.raw, model.networks)
        for service in model.services
    }
    ids = docker.lines("ps", "--quiet", "--filter", f"label={docker.STACK_LABEL}={model.project}")
    containers = json.loads(docker.run("inspect", *ids)) if ids else []
    differing: dict[str, list[str]] = {}
    for each in containers:
        name = each["Config"]["Labels"][SERVICE_LABEL]
        real = hardening.found(each, lambda path: Path(path).read_text("utf-8"))
        told = hardening.differences(wanted[name], real) if name in wanted else ["it is not in the model"]
        if told:
            differing[each["Name"].lstrip("/")] = told
    return len(containers), differing
