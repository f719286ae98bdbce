"""Runs the docker command against a manager of the Swarm, and reads what it answers."""

import contextlib
import json
import subprocess
from collections.abc import Mapping, Sequence
from typing import Any

from mailctl.core.compose import last_lines
from mailctl.core.errors import Problem, Refused

COMMAND_SECONDS = 120


def run(
    *arguments: str,
    stdin: str | bytes | None = None,
    seconds: float = COMMAND_SECONDS,
    errors: int = subprocess.PIPE,
) -> str:
    """Run `docker ARGUMENTS` to its end and return stdout. Raises Refused with what the engine said."""
    words = " ".join(arguments[:2])
    given = stdin.encode() if isinstance(stdin, str) else stdin
    try:
        done = subprocess.run(
            ["docker", *arguments],
            input=given,
            stdin=subprocess.DEVNULL if given is None else None,
            stdout=subprocess.PIPE,
            stderr=errors,
            timeout=seconds,
            check=False,
        )
    except FileNotFoundError:
        fix = "install Docker Engine on this host: make setup-host"
        raise Refused(Problem("docker", "the docker command is not on PATH", fix)) from None
    except subprocess.TimeoutExpired:
        fix = "see whether this manager still has a majority: docker node ls"
        raise Refused(Problem(f"docker {words}", f"did not answer within {seconds:.0f} s", fix)) from None
    if done.returncode:
        said = last_lines((done.stderr or done.stdout).decode("utf-8", "replace"))
        fix = "fix what it names, then run the same command again"
        raise Refused(Problem(f"docker {words}", "failed; what it said stands above", fix), details=said)
    return done.stdout.decode("utf-8", "replace")


def lines(*arguments: str, **options: Any) -> list[str]:
    """The lines that a command prints, such as ids."""
    return run(*arguments, **options).split()


def inspected(kind: str, names: Sequence[str]) -> list[dict[str, Any]]:
    """What the engine knows of objects of a kind (service, node, config …); nothing for no names."""
    found: list[dict[str, Any]] = json.loads(run(kind, "inspect", *names)) if names else []
    return found


def log(service: str) -> str:
    """The end of a service's log, wherever it ran; a host that is down may keep its part."""
    with contextlib.suppress(Refused):
        words = ("--raw", "--tail", "15", service)
        return run("service", "logs", *words, seconds=20, errors=subprocess.STDOUT)
    return ""


def info() -> dict[str, Any]:
    """`docker info` of the engine that is asked."""
    answer: dict[str, Any] = json.loads(run("info", "--format", "{{json .}}"))
    return answer


def nodes() -> list[dict[str, Any]]:
    """Every host of the Swarm. Raises Refused: this host is no manager of one."""
    swarm = info().get("Swarm") or {}
    if not swarm.get("ControlAvailable"):
        wrong = f"is no manager of a Swarm (its state: {swarm.get('LocalNodeState') or 'unknown'})"
        fix = 'run this on a manager; docs/several-hosts.md, "Form the Swarm", says how hosts join'
        raise Refused(Problem("this host", wrong, fix))
    return inspected("node", lines("node", "ls", "--quiet"))


def takes(node: Mapping[str, Any]) -> bool:
    """Whether the engine starts tasks on a host: it is neither down, drained nor paused."""
    return bool(node["Status"]["State"] == "ready" and node["Spec"]["Availability"] == "active")


STACK_LABEL = "com.docker.stack.namespace"


def services(stack: str) -> dict[str, dict[str, Any]]:
    """The services of a stack by the model's names."""
    ids = lines("service", "ls", "--quiet", "--filter", f"label={STACK_LABEL}={stack}")
    return {each["Spec"]["Name"].removeprefix(f"{stack}_"): each for each in inspected("service", ids)}


def tasks(stack: str) -> dict[str, list[dict[str, Any]]]:
    """The tasks of a stack by their service's id, those that ended included as far as they are remembered."""
    found: dict[str, list[dict[str, Any]]] = {}
    for each in _tasks(stack):
        found.setdefault(each["ServiceID"], []).append(each)
    return found


def _tasks(stack: str, tries: int = 5) -> list[dict[str, Any]]:
    ids = lines("stack", "ps", "--quiet", "--no-trunc", stack)
    try:
        found: list[dict[str, Any]] = json.loads(run("inspect", "--type", "task", *ids)) if ids else []
    except Refused as refusal:
        # The engine forgets old tasks, also between these two calls.
        if tries == 1 or "no such" not in (refusal.details or "").lower():
            raise
        return _tasks(stack, tries - 1)
    return found
