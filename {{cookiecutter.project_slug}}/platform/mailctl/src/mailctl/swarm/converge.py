"""Whether the engine has done what a deployment asked for."""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from mailctl.swarm import docker, forgotten

READY, WAITING, FAILED = "ready", "waiting", "failed"
POLL_SECONDS = 1.0
#: A task that ended so often since the deployment began stays broken (the engine remembers five).
MOST_FAILURES = 4
#: Given beyond what the health checks allow, in seconds: fetching an image is part of it.
PATIENCE = 300.0
ENDED = ("failed", "rejected")


@dataclass(frozen=True)
class Verdict:
    """How far a service is, and why it is not further."""

    state: str
    why: str = ""


def judge(service: Mapping[str, Any], tasks: Sequence[Mapping[str, Any]], since: datetime) -> Verdict:
    """One look at a service and its tasks; failures before `since` do not count."""
    update = service.get("UpdateStatus") or {}
    state = update.get("State", "")
    if state.startswith("rollback") or state == "paused":
        return Verdict(FAILED, f"{state}: {update.get('Message', '')}; {last_error(tasks)}")
    recent = [each for each in tasks if datetime.fromisoformat(each["CreatedAt"]) >= since]
    ended = sum(each["Status"]["State"] in ENDED for each in recent)
    if ended >= MOST_FAILURES:
        return Verdict(FAILED, f"{ended} tasks ended: {last_error(tasks)}")
    wanted = [each for each in tasks if each["DesiredState"] == "running"]
    number = replicas(service) or max(1, len(wanted))
    spec = _said(_container(service))
    current = [each for each in wanted if _said(each["Spec"].get("ContainerSpec")) == spec]
    running = [each for each in current if each["Status"]["State"] == "running"]
    if state != "updating" and len(running) == number == len(wanted):
        return Verdict(READY)
    return Verdict(WAITING, f"{len(running)} of {number} tasks run; {last_error(tasks)}")


def replicas(service: Mapping[str, Any]) -> int | None:
    """How many tasks it shall have; None for one on every host."""
    replicated = service["Spec"]["Mode"].get("Replicated")
    return None if replicated is None else int(replicated.get("Replicas", 1))


def _container(service: Mapping[str, Any]) -> Any:
    return service["Spec"]["TaskTemplate"]["ContainerSpec"]


def _said(spec: Any) -> Any:
    """A specification without what says nothing: a service's has empty parts that its tasks' lack."""
    if isinstance(spec, dict):
        return {key: inner for key, value in spec.items() if (inner := _said(value)) not in (None, {}, [])}
    return spec


def last_error(tasks: Sequence[Mapping[str, Any]]) -> str:
    """The newest error that a task ended with, or why it does not start."""
    states = [each["Status"] for each in tasks if each["Status"].get("Err")]
    newest = max(states, key=lambda state: state["Timestamp"], default=None)
    return newest["Err"] if newest else "no task reported an error"


def limit(services: Iterable[Mapping[str, Any]]) -> float:
    """For how long these may take, in seconds: the tasks of one after the other, each until it is healthy."""
    slowest = 0.0
    for service in services:
        spec = _container(service)
        health, update = spec.get("Healthcheck") or {}, service["Spec"].get("UpdateConfig") or {}
        starting = (health.get("StartPeriod") or 0) + (health.get("Interval") or 0) * (
            health.get("Retries") or 3
        )
        each = starting + (update.get("Monitor") or 0) + (spec.get("StopGracePeriod") or 10e9)
        slowest = max(slowest, each / 1e9 * (replicas(service) or 3))
    return slowest + PATIENCE


def wait(stack: str, names: Iterable[str], since: datetime, say: Callable[[str], None]) -> dict[str, str]:
    """Wait until these services are ready. Returns those that are not, with the reason.

    Whoever calls it has the turn: what the engine no longer tries to start is started.
    """
    left, told = set(names), ""
    found = docker.services(stack)
    end = time.monotonic() + limit(found[name] for name in left if name in found)
    while True:
        over, tasks = time.monotonic() > end, docker.tasks(stack)
        failed: dict[str, str] = {}
        waiting: dict[str, str] = {}
        for name in sorted(left):
            service = found.get(name)
            if service is None:
                failed[name] = "is not there"
                continue
            verdict = judge(service, tasks.get(service["ID"], []), since)
            if verdict.state == READY:
                left.discard(name)
            else:
                (failed if verdict.state == FAILED else waiting)[name] = verdict.why
        if failed or over or not left:
            return failed or {name: f"not within the limit: {why}" for name, why in waiting.items()}
        forgotten.start(stack, {name: found[name] for name in left}, tasks, say)
        if (now := ", ".join(sorted(left))) != told:
            say(f"waiting for {now}")
            told = now
        time.sleep(POLL_SECONDS)
        found = docker.services(stack)
