"""What runs where (`mailctl swarm status`), and what this host's tasks may do (`mailctl swarm check`)."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mailctl.swarm import converge, docker, hardening
from mailctl.swarm.model import Model

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
        number = len(wanted) if number is None else number
        image = service["Spec"]["TaskTemplate"]["ContainerSpec"]["Image"]
        found.append(
            {
                "name": name,
                "running": len(running),
                "wanted": number,
                "hosts": sorted(hosts[each["NodeID"]] for each in running),
                "image": image,
                "update": (service.get("UpdateStatus") or {}).get("State"),
                "why": "" if len(running) >= number > 0 else converge.last_error(tasks),
            }
        )
    return found


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
