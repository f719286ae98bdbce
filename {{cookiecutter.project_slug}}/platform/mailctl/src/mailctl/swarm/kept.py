"""Whose turn it is to change the stack, whether mail is held, and what became of each deployment.

Each of these is a config of the engine that no service mounts: a majority of managers has it before it is
there, every manager can read it, and there are never two of one name.
"""

import contextlib
import json
import time
from base64 import b64decode
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from mailctl.core.errors import Problem, Refused
from mailctl.swarm import docker

TURN, HOLD, LATE, RESULT = "deployment", "holding", "late", "result"
#: What is under way when it is the agent's, and `make deploy`: it is finished by whoever leads next.
DEPLOYS = "mailctl deploy"
#: On each of these configs: of which stack it is, and which kind. It outlives the stack.
LABEL = "mail.kept"
#: Whoever is at it for so long was killed: no deployment may take longer (CHILD_SECONDS of the agent).
LIMIT_SECONDS = 7500.0
#: How many results are kept.
MOST_RESULTS = 20
LEADER, MANAGER, WORKER = "leader", "manager", "worker"


@dataclass(frozen=True)
class Turn:
    """Who changes the stack, to which commit, and which attempt at it this is; `id` is the engine's."""

    stack: str
    id: str
    host: str
    what: str
    commit: str
    attempts: int
    at: float

    @property
    def over(self) -> bool:
        """Whether nobody can be at it any more: its host is down, or its time has passed."""
        states = {each["Description"]["Hostname"]: each["Status"]["State"] for each in docker.nodes()}
        return states.get(self.host) != "ready" or time.time() - self.at > LIMIT_SECONDS

    def check(self) -> None:
        """Raises Refused: it was taken over, as by the next leader while this host was cut off."""
        there = current(self.stack)
        if there is None or there.id != self.id:
            by = f"{there.what} on {there.host}" if there else "another host"
            wrong = f"was taken over by {by}"
            raise Lost(Problem("this deployment", wrong, "nothing: it ends there; see make history"))


class Lost(Refused):
    """Somebody else goes on: nothing may be restored here."""


def this_host() -> str:
    """What the engine calls this host."""
    return str(docker.info().get("Name", ""))


def role() -> str:
    """Whether this host leads the Swarm now, is another manager, or a worker. Raises Refused: no majority."""
    swarm = docker.info().get("Swarm") or {}
    if not swarm.get("ControlAvailable"):
        return WORKER
    for each in docker.nodes():
        if each["ID"] == swarm.get("NodeID"):
            return LEADER if (each.get("ManagerStatus") or {}).get("Leader") else MANAGER
    return MANAGER


def current(stack: str) -> Turn | None:
    """Whose turn it is; None: nobody's."""
    for id_, found in _read(stack, TURN):
        return Turn(stack, id_, **found)
    return None


@contextlib.contextmanager
def taken(stack: str, what: str, commit: str) -> Iterator[Turn]:
    """Let nobody else change the stack. Raises Refused with who does.

    The caller has this host's lock of deployments: a turn of this host is one that broke off. It is kept when
    an exception ends the work in the middle, so that who comes next knows what to finish.
    """
    mine, before = this_host(), current(stack)
    if before and before.host != mine and not before.over:
        raise Refused(busy(before))
    attempts = before.attempts + 1 if before and before.commit == commit else 1
    document: dict[str, Any] = {
        "host": mine,
        "what": what,
        "commit": commit,
        "attempts": attempts,
        "at": time.time(),
    }
    # By its id: of two who take over the same one, only one finds it.
    with contextlib.suppress(Refused):
        if before:
            docker.run("config", "rm", before.id)
    try:
        made = _write(stack, TURN, document, f"{stack[:30]}.{TURN}")
    except Refused:
        there = current(stack)
        if there is None:
            raise
        raise Refused(busy(there)) from None
    turn = Turn(stack, made, **document)
    try:
        yield turn
    except Lost:
        raise
    except Refused:
        give_up(turn)
        raise
    give_up(turn)


def give_up(turn: Turn) -> None:
    """It is nobody's turn any more."""
    with contextlib.suppress(Refused):
        docker.run("config", "rm", turn.id)


def busy(turn: Turn) -> Problem:
    """Who is at it, for whoever is not."""
    fix = f"wait until it is done; if {turn.host} is lost, its turn ends once the engine calls it down"
    return Problem("the stack", f"{turn.what} on {turn.host} is changing it", fix, value=turn.commit[:12])


def held(stack: str) -> dict[str, Any] | None:
    """What mail is held for, with the canaries' word; None: it is not, or all of it is released again."""
    return next((found for _, found in _read(stack, HOLD)), None)


def hold(stack: str, document: dict[str, Any]) -> None:
    """Write down that mail is going to be held, if that is not written yet."""
    if held(stack) is None:
        _write(stack, HOLD, document, f"{stack[:30]}.{HOLD}")


def released(stack: str) -> None:
    """No host holds mail any more."""
    for id_, _ in _read(stack, HOLD):
        docker.run("config", "rm", id_)


def late(stack: str) -> set[str]:
    """The hosts that were down when mail was released: their files may still say that it is held."""
    return {str(host) for _, found in _read(stack, LATE) for host in found["hosts"]}


def note_late(stack: str, hosts: set[str]) -> None:
    """Remember them, instead of those before."""
    if hosts != late(stack):
        for id_, _ in _read(stack, LATE):
            docker.run("config", "rm", id_)
        if hosts:
            _write(stack, LATE, {"hosts": sorted(hosts)}, f"{stack[:30]}.{LATE}")


def keep(stack: str, document: dict[str, Any]) -> None:
    """Keep what became of a deployment."""
    moment = datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%fZ")
    _write(stack, RESULT, document, f"{stack[:30]}.{RESULT}-{moment}")
    for id_, _ in _read(stack, RESULT)[MOST_RESULTS:]:
        docker.run("config", "rm", id_)


def results(stack: str) -> list[dict[str, Any]]:
    """What became of deployments, the newest first."""
    return [found for _, found in _read(stack, RESULT)]


def _write(stack: str, kind: str, document: dict[str, Any], name: str) -> str:
    label = ("--label", f"{LABEL}={stack}.{kind}")
    return docker.run("config", "create", *label, name, "-", stdin=json.dumps(document)).strip()


def _read(stack: str, kind: str, tries: int = 5) -> list[tuple[str, dict[str, Any]]]:
    """The id and content of each of a kind, the newest first by name."""
    ids = docker.lines("config", "ls", "--quiet", "--filter", f"label={LABEL}={stack}.{kind}")
    try:
        found = docker.inspected("config", ids)
    except Refused as refusal:
        # Removed by somebody between these two calls.
        if tries == 1 or "not found" not in (refusal.details or "").lower():
            raise
        return _read(stack, kind, tries - 1)
    newest = sorted(found, key=lambda each: str(each["Spec"]["Name"]), reverse=True)
    return [(str(each["ID"]), json.loads(b64decode(each["Spec"]["Data"]))) for each in newest]
