"""Deploys the stack by the engine's own means; what does not work leaves the old stack.

Everything that can be refused is refused before the first object exists. Then configs and secrets, which disturb
nobody, then the services in waves, each after those it needs. When one is rolled back by the engine, or does not
get ready, the whole stack goes back to the last one that was: its file is kept in the Swarm itself, as a config.
"""

import contextlib
from base64 import b64decode
from collections.abc import Callable, Collection
from dataclasses import dataclass

import yaml

from mailctl.core.errors import Problem, Refused
from mailctl.swarm import converge, docker, objects
from mailctl.swarm.render import Stack

#: On the config that holds the file of the last good deployment.
GOOD_LABEL = "mail.deployed"
NEXT = "docs/several-hosts.md"
Say = Callable[[str], None]


@dataclass(frozen=True)
class Done:
    """What a deployment changed."""

    services: list[str]
    removed: list[str]
    objects: list[str]


def deploy(stack: Stack, say: Say) -> Done:
    """Bring the Swarm to this stack. Raises Refused: why not, and what was restored."""
    before = docker.services(stack.name)
    _networks_fit(stack)
    made = _make_objects(stack)
    try:
        for wave in stack.waves:
            _apply(stack.name, stack.part(wave), wave, say)
    except Refused as refusal:
        _restore(stack.name, set(before), refusal, say)
        _remove_objects(made)
        raise
    removed = sorted(set(before) - set(stack.body["services"]))
    if removed:
        docker.run("service", "rm", *(f"{stack.name}_{name}" for name in removed))
    _record(stack)
    _prune(stack.name)
    return Done(sorted(stack.body["services"]), removed, made)


def roll_back(name: str, say: Say) -> list[str]:
    """Bring the services back to the last deployment that got ready; returns them. Raises Refused: none did."""
    text = last_good(name)
    if not text:
        fix = "deploy: mailctl swarm deploy"
        raise Refused(Problem(f"stack {name}", "no deployment of it has succeeded yet", fix))
    wanted = list(yaml.safe_load(text)["services"])
    before = set(docker.services(name))
    _apply(name, text, wanted, say)
    if new := sorted(before - set(wanted)):
        docker.run("service", "rm", *(f"{name}_{each}" for each in new))
    return sorted(wanted)


def last_good(name: str) -> str:
    """The stack file of the last deployment that got ready; empty when there was none."""
    found = docker.inspected("config", _labelled("config", name, f"label={GOOD_LABEL}"))
    newest = max(found, key=lambda each: each["Spec"]["Labels"][GOOD_LABEL], default=None)
    return b64decode(newest["Spec"]["Data"]).decode() if newest else ""


def _apply(name: str, text: str, services: Collection[str], say: Say) -> None:
    since = converge.now()
    words = ("--detach=true", "--with-registry-auth", "--resolve-image", "never", "--compose-file", "-")
    docker.run("stack", "deploy", *words, name, stdin=text, seconds=600)
    if failed := converge.wait(name, services, since, say):
        problems = [
            Problem(
                f"service {service}",
                why,
                "the end of its log stands above",
                next=f"docker service ps {name}_{service}",
            )
            for service, why in failed.items()
        ]
        raise Refused(*problems, details="\n".join(_log(name, service) for service in failed))


def _log(name: str, service: str) -> str:
    """The end of a service's log, wherever it ran; a host that is down may keep its part."""
    words = ("--raw", "--tail", "15", f"{name}_{service}")
    with contextlib.suppress(Refused):
        return docker.run("service", "logs", *words, seconds=20)
    return ""


def _restore(name: str, before: set[str], refusal: Refused, say: Say) -> None:
    """Put the old stack back, as it belongs together; adds to the refusal how that ended."""
    try:
        new = sorted(set(docker.services(name)) - before)
        if before and new:
            docker.run("service", "rm", *(f"{name}_{each}" for each in new))
        if before and last_good(name):
            say("restoring the stack of the last deployment")
            roll_back(name, say)
            after = "the last deployment runs again, as a whole"
        elif before:
            after = "each service that failed is where the engine's own rollback left it: no deployment succeeded yet"
        else:
            docker.run("stack", "rm", name)
            after = "it was the first deployment, and was taken away; volumes stay"
    except Refused as second:
        after = f"the old stack is NOT restored: {second}"
    refusal.problems = (
        *refusal.problems,
        Problem(f"stack {name}", after, "fix the cause, then deploy again"),
    )


def _networks_fit(stack: Stack) -> None:
    """A network that exists keeps its settings, whatever the file says: say so, before anything is made."""
    wanted = {each["name"]: each for each in stack.body["networks"].values()}
    ids = docker.lines("network", "ls", "--quiet", "--no-trunc")
    problems = []
    for network in docker.inspected("network", ids):
        want = wanted.get(network["Name"])
        if want is None:
            continue
        there = (network["Driver"], network["Internal"], "encrypted" in (network["Options"] or {}))
        if there != ("overlay", want["internal"], "driver_opts" in want):
            wrong = f"exists with other settings ({network['Driver']}, internal {network['Internal']})"
            fix = f"docker stack rm {stack.name} (mail waits meanwhile), then deploy again"
            problems.append(Problem(f"network {network['Name']}", wrong, fix))
    if problems:
        raise Refused(*problems)


def _make_objects(stack: Stack) -> list[str]:
    """Make the configs and secrets that are not there yet; returns their names. What fails leaves none."""
    there = {kind: set(docker.lines(kind, "ls", "--format", "{{.Name}}")) for kind in objects.LIMITS}
    made: list[str] = []
    try:
        for each in dict.fromkeys(stack.objects):
            if each.name not in there[each.kind]:
                label = f"{docker.STACK_LABEL}={stack.name}"
                docker.run(each.kind, "create", "--label", label, each.name, "-", stdin=each.data)
                made.append(f"{each.kind} {each.name}")
    except Refused:
        _remove_objects(made)
        raise
    return made


def _remove_objects(names: list[str]) -> None:
    """Those that a service uses, or its rollback, the engine keeps or a later deployment removes."""
    for each in names:
        with contextlib.suppress(Refused):
            docker.run(each.split()[0], "rm", each.split()[1])


def _labelled(kind: str, stack: str, *filters: str) -> list[str]:
    words = [
        word for each in (f"label={docker.STACK_LABEL}={stack}", *filters) for word in ("--filter", each)
    ]
    return docker.lines(kind, "ls", "--quiet", *words)


def _record(stack: Stack) -> None:
    """Keep the file of what got ready where every manager has it. It names secrets and holds none."""
    data = stack.text.encode()
    moment = converge.now().isoformat(timespec="microseconds")
    kept = objects.made("config", stack.name, f"stack-{moment}", data, "the stack file")
    old = _labelled("config", stack.name, f"label={GOOD_LABEL}")
    labels = ("--label", f"{docker.STACK_LABEL}={stack.name}", "--label", f"{GOOD_LABEL}={moment}")
    docker.run("config", "create", *labels, kept.name, "-", stdin=data)
    if old:
        docker.run("config", "rm", *old)


def _prune(name: str) -> None:
    """Remove configs and secrets of this stack that neither a service nor its rollback names."""
    used: set[str] = set()
    for service in docker.services(name).values():
        for spec in (service.get("Spec"), service.get("PreviousSpec")):
            container = ((spec or {}).get("TaskTemplate") or {}).get("ContainerSpec") or {}
            used |= {each["ConfigName"] for each in container.get("Configs") or ()}
            used |= {each["SecretName"] for each in container.get("Secrets") or ()}
    for kind in objects.LIMITS:
        for each in docker.inspected(kind, _labelled(kind, name)):
            if each["Spec"]["Name"] not in used and GOOD_LABEL not in each["Spec"]["Labels"]:
                _remove_objects([f"{kind} {each['Spec']['Name']}"])
