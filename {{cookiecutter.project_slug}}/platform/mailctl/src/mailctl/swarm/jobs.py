"""Runs a command once in a container like a service's: on one host, or on each; only the engine reaches all.

A job is a service of the stack that ends. It is made from the stack file, so that it may do what the service
may do that it is like, and no more than it says here.
"""

import contextlib
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

from mailctl.core.errors import Problem, Refused
from mailctl.swarm import converge, docker
from mailctl.swarm.deploy import apply

POLL_SECONDS = 0.5


@dataclass(frozen=True)
class Job:
    """What runs: in a container like `like`, named `name`, on one host or on each that takes tasks.

    `writes` are volumes of the stack by their mount point; `networks` are those it needs of the service's.
    """

    like: str
    name: str
    command: tuple[str, ...]
    everywhere: bool = False
    networks: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    secrets: tuple[str, ...] = ()
    writes: Mapping[str, str] = field(default_factory=dict)
    seconds: float = 180.0


def part(text: str, job: Job) -> str:
    """The stack file with the job alone."""
    body: dict[str, Any] = yaml.safe_load(text)
    like = body["services"][job.like]
    made = {key: like[key] for key in set(like) - {"ports", "healthcheck", "deploy", "volumes"}}
    made |= {
        "command": [_literal(word) for word in job.command],
        "healthcheck": {"disable": True},
        "networks": list(job.networks),
    }
    own = {name: _literal(value) for name, value in job.environment.items()}
    made["environment"] = {**(like.get("environment") or {}), **own}
    more = [{"source": name, "target": name, "mode": 0o444} for name in job.secrets]
    made["secrets"] = [*(like.get("secrets") or ()), *more]
    made["volumes"] = [_mount(body, mount, job) for mount in like.get("volumes") or ()]
    there = {mount["target"] for mount in made["volumes"]}
    made["volumes"] += [
        {"type": "volume", "source": source, "target": target}
        for target, source in job.writes.items()
        if target not in there
    ]
    made["deploy"] = {
        "mode": "global-job" if job.everywhere else "replicated-job",
        "endpoint_mode": "dnsrr",
        "restart_policy": {"condition": "none"},
        "resources": like["deploy"].get("resources") or {},
    }
    return yaml.safe_dump({**body, "services": {job.name: made}}, sort_keys=False, width=1000)


def _literal(text: str) -> str:
    """Nothing of it is a variable of the stack file's."""
    return text.replace("$", "$$")


def _mount(body: dict[str, Any], mount: dict[str, Any], job: Job) -> dict[str, Any]:
    """A mount for the job. A folder in memory is its own: the service's task on this host has the other."""
    if mount["target"] in job.writes:
        return {"type": "volume", "source": job.writes[mount["target"]], "target": mount["target"]}
    key = str(mount["source"])
    if not key.startswith("tmpfs-"):
        return mount
    own = f"{job.name}-{key}"
    volume = body["volumes"][key]
    body["volumes"][own] = {**volume, "name": str(volume["name"]).replace(f"_{key}", f"_{own}")}
    return {**mount, "source": own}


def run(stack: str, text: str, job: Job) -> None:
    """Run it to its end, and take it away. Raises Refused: where it failed, and the end of its log."""
    _remove(stack, job)  # that of a run that was killed
    try:
        apply(stack, part(text, job))
        _wait(stack, job)
    finally:
        _remove(stack, job)


def _wait(stack: str, job: Job) -> None:
    end = time.monotonic() + job.seconds
    while True:
        nodes = filter(docker.takes, docker.nodes())
        wanted = {each["ID"]: str(each["Description"]["Hostname"]) for each in nodes}
        service = docker.services(stack).get(job.name)
        tasks = docker.tasks(stack).get(service["ID"], []) if service else []
        failed = {each["NodeID"] for each in tasks if each["Status"]["State"] in converge.ENDED} & set(wanted)
        done = {each["NodeID"] for each in tasks if each["Status"]["State"] == "complete"}
        if failed or time.monotonic() > end:
            missing = failed or (set(wanted) - done)
            where = ", ".join(sorted(wanted.get(each, each) for each in missing))
            wrong = f"{'failed' if failed else 'did not end'} on {where}: {converge.last_error(tasks)}"
            fix = "the end of its log stands above"
            raise Refused(Problem(f"job {job.name}", wrong, fix), details=docker.log(f"{stack}_{job.name}"))
        if (job.everywhere and set(wanted) <= done) or (not job.everywhere and done):
            return
        time.sleep(POLL_SECONDS)


def _remove(stack: str, job: Job) -> None:
    with contextlib.suppress(Refused):
        docker.run("service", "rm", f"{stack}_{job.name}")
