"""Deploys the stack by the engine's own means; what does not work leaves the old stack.

What can be refused is refused before anything exists. Then come configs and secrets, which disturb nobody,
then the services in waves, each after those it needs. When the engine rolls one back, or it does not get
ready, the whole stack goes back to the last one that did: its file is kept in the Swarm itself, as a config.
"""

import contextlib
import time
from base64 import b64decode
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import yaml

from mailctl.core.errors import Problem, Refused
from mailctl.swarm import converge, docker, kept, objects, turns
from mailctl.swarm.render import Stack, part

#: On the config that holds the file of the last good deployment: when, the commit (if it is one), and who.
GOOD_LABEL, COMMIT_LABEL, HOST_LABEL = "mail.deployed", "mail.commit", "mail.deployed.by"
#: A task that is told to end has its stop_grace_period; the longest is the database's.
GONE_SECONDS = 150.0
Say = Callable[[str], None]


def _nothing() -> None:
    pass


def apply(name: str, text: str) -> None:
    """Give the engine a stack file. Raises Refused: it refuses it, perhaps half-way."""
    words = ("--detach=true", "--with-registry-auth", "--resolve-image", "never", "--compose-file", "-")
    docker.run("stack", "deploy", *words, name, stdin=text, seconds=600)


@dataclass(frozen=True)
class Done:
    """What a deployment changed."""

    services: list[str]
    removed: list[str]
    objects: list[str]


@dataclass(frozen=True)
class Swarm:
    """The stack `name` in the Swarm. `absent` are services that nobody waits for: their host is down."""

    name: str
    say: Say
    absent: frozenset[str] = frozenset()
    #: The commit that is deployed; empty: no commit is what it is.
    commit: str = ""
    #: Raises Refused when somebody else has taken over: asked before each change.
    check: Callable[[], None] = _nothing

    def deploy(
        self, stack: Stack, first: Callable[[], None] = _nothing, tried: Callable[[], None] = _nothing
    ) -> Done:
        """Bring it to this stack. Raises Refused: why not, and what was restored.

        `first` runs when configs and secrets are there, `tried` when all services run; what either refuses
        takes the stack back.
        """
        before, members = set(docker.services(self.name)), turns.inside(self.name)
        _networks_fit(stack)
        made = _make_objects(stack)
        try:
            first()
            for wave in stack.waves:
                self._apply(stack.part(wave), wave)
                turns.wait(self.name, members, wave)
            tried()
        except kept.Lost:
            raise
        except Refused as refusal:
            refusal.problems = (*refusal.problems, self._restore(before))
            _remove_objects(made)
            raise
        removed = self._remove(before - set(stack.body["services"]))
        _record(stack, self.commit)
        _prune(self.name)
        return Done(sorted(stack.body["services"]), removed, made)

    def roll_back(self) -> list[str]:
        """Bring it back to the last deployment that got ready; returns its services. Raises Refused."""
        text = last_good(self.name)
        if not text:
            wrong = "no deployment of it has succeeded yet"
            raise Refused(Problem(f"stack {self.name}", wrong, "deploy: .venv/bin/mailctl swarm deploy"))
        file, members = yaml.safe_load(text), turns.inside(self.name)
        wanted = sorted(file["services"])
        for wave in turns.waves(wanted):
            self._apply(part(file, wave), wave)
            turns.wait(self.name, members, wave)
        self._remove(set(docker.services(self.name)) - set(wanted))
        return wanted

    def _apply(self, text: str, services: Collection[str]) -> None:
        self.check()
        since = datetime.now(UTC)
        apply(self.name, text)
        failed = converge.wait(self.name, set(services) - self.absent, since, self.say)
        if failed:
            fix = "the end of its log stands above"
            problems = (
                Problem(f"service {each}", why, fix, next=f"docker service ps {self.name}_{each}")
                for each, why in failed.items()
            )
            logs = (docker.log(f"{self.name}_{each}") for each in failed)
            raise Refused(*problems, details="\n".join(logs))

    def _restore(self, before: set[str]) -> Problem:
        """Put the old stack back, as it belongs together; says how that ended."""
        try:
            if not before:
                self._take_away()
                after = "it was the first deployment, and was taken away; volumes stay"
            elif last_good(self.name):
                self.say("restoring the stack of the last deployment")
                self.roll_back()
                after = "the last deployment runs again, as a whole"
            else:
                self._remove(set(docker.services(self.name)) - before)
                after = "what failed is where the engine's own rollback left it: no deployment succeeded yet"
        except Refused as second:
            after = f"the old stack is NOT restored: {second}"
        return Problem(f"stack {self.name}", after, "fix the cause, then deploy again")

    def _take_away(self) -> None:
        """Remove the stack, and wait for its networks: whoever deploys before would find half of them."""
        end = time.monotonic() + GONE_SECONDS
        networks = ("network", "ls", "--quiet", "--filter", f"label={docker.STACK_LABEL}={self.name}")
        while True:
            with contextlib.suppress(Refused):
                docker.run("stack", "rm", self.name)
            if not docker.lines(*networks):
                return
            if time.monotonic() > end:
                wrong, fix = "is still there: tasks use it", f"docker stack rm {self.name}"
                raise Refused(Problem(f"network of {self.name}", wrong, fix))
            time.sleep(1)

    def _remove(self, services: set[str]) -> list[str]:
        if services:
            docker.run("service", "rm", *(f"{self.name}_{each}" for each in services))
        return sorted(services)


def last_good(name: str) -> str:
    """The stack file of the last deployment that got ready; empty when there was none."""
    spec = _kept(name)
    return b64decode(spec["Data"]).decode() if spec else ""


def deployed(name: str) -> tuple[str, str]:
    """The commit that runs, and the host that deployed it; empty where there is none, or nobody knows."""
    labels = _kept(name).get("Labels") or {}
    return labels.get(COMMIT_LABEL, ""), labels.get(HOST_LABEL, "")


def _kept(name: str) -> dict[str, Any]:
    found = docker.inspected("config", _labelled("config", name, f"label={GOOD_LABEL}"))
    newest = max(found, key=lambda each: each["Spec"]["Labels"][GOOD_LABEL], default={})
    return dict(newest.get("Spec") or {})


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
    wanted = (f"label={docker.STACK_LABEL}={stack}", *filters)
    return docker.lines(kind, "ls", "--quiet", *(word for each in wanted for word in ("--filter", each)))


def _record(stack: Stack, commit: str) -> None:
    """Keep the file of what got ready where every manager has it. It names secrets and holds none."""
    data = stack.text.encode()
    moment = datetime.now(UTC).isoformat(timespec="microseconds")
    file = objects.made("config", stack.name, f"stack-{moment}", data, "the stack file")
    old = _labelled("config", stack.name, f"label={GOOD_LABEL}")
    labels = {docker.STACK_LABEL: stack.name, GOOD_LABEL: moment}
    labels |= {COMMIT_LABEL: commit, HOST_LABEL: kept.this_host()}
    words = [word for each in labels.items() for word in ("--label", "=".join(each))]
    docker.run("config", "create", *words, file.name, "-", stdin=data)
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
