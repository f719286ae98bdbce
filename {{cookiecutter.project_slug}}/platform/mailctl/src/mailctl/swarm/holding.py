"""Mail waits on every host while a deployment is tried (deploy/hold.py says how it does on one).

The flags are files of each host, as on a single one: reading them needs neither a database nor a manager. A
job writes them on each; Postfix follows its own, and says in its queue's folder which one it has read.
"""

import hashlib
import json
from typing import Any

from mailctl.core.hold import HOLD_ALL
from mailctl.swarm import docker, jobs, kept
from mailctl.swarm.jobs import Job

LIKE, PROGRAM = "postfix", "hold-host"
VOLUMES = {"/run/hold/postfix": "hold_postfix", "/run/hold/api": "hold_api"}


def on(stack: str, text: str, wanted: dict[str, Any]) -> None:
    """Hold mail on every host. Raises Refused: on one it cannot be; `off` releases what is held by then."""
    kept.hold(stack, wanted)
    held = kept.held(stack) or wanted
    digest = hashlib.sha256(str(held["word"]).encode()).hexdigest()
    told = json.dumps({"since": held["since"], "pass": digest})
    environment = {"HOLD": told, "CHECKS": HOLD_ALL}
    jobs.run(stack, text, _job("on", environment))


def off(stack: str, text: str) -> None:
    """Release what was held, if anything was: on each host what an operator had on hold stays there.

    Raises Refused: on a host it is still held; done once more, the others do nothing.
    """
    if kept.held(stack):
        _off(stack, text)


def off_late(stack: str, text: str) -> None:
    """Release where a host was down when the others did, and is back. Raises Refused: one still holds."""
    back = {str(each["Description"]["Hostname"]) for each in docker.nodes() if docker.takes(each)}
    if kept.late(stack) & back and not kept.held(stack):
        _off(stack, text)


def _off(stack: str, text: str) -> None:
    jobs.run(stack, text, _job("off", {}))
    nodes = docker.nodes()
    kept.note_late(stack, {str(each["Description"]["Hostname"]) for each in nodes if not docker.takes(each)})
    kept.released(stack)


def _job(word: str, environment: dict[str, str]) -> Job:
    command = (PROGRAM, word)
    # It talks to nobody: of the networks it gets the one that leads nowhere.
    return Job(LIKE, f"hold-{word}", command, True, ("mail",), environment, writes=VOLUMES)
