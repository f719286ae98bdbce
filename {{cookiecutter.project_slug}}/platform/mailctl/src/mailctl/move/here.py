"""On the new host: images, everything of the last snapshot, the queue, canaries, and then the tunnel."""

import json
import time
from typing import Any

from mailctl.core.errors import Problem, Refused
from mailctl.core.folders import hdd
from mailctl.move.steps import JOURNAL, QUEUE, SPOOL, Move, Step, commit, program, stop

CONFINED = (
    *("--network=none", "--read-only", "--pull=never", "--cap-drop=ALL"),
    *(f"--cap-add={each}" for each in ("CHOWN", "DAC_OVERRIDE", "FOWNER")),
)


def check(move: Move) -> str:
    """This host is empty, and at the commit of the old one. Raises Refused."""
    running = [name for name, state in move.server.running().items() if state.status == "running"]
    if running:
        wrong = f"runs here already: {', '.join(running)}"
        raise Refused(Problem("the stack", wrong, "docker compose down; on the old host: move away"))
    if any(not path.name.startswith(".") for path in (hdd(move.context) / "mailboxes").iterdir()):
        fix = "move to an empty disk, or restore: docs/runbooks/roll-back-the-data.md"
        raise Refused(Problem("HDD_PATH", "there is mail already", fix, value=str(hdd(move.context))))
    here, there = commit(move.context), _old(move).get("commit")
    if there and here != there:
        raise Refused(
            Problem("commit", f"the old host is at {there[:12]}", f"git checkout {there}", value=here[:12])
        )
    return f"empty, at commit {here[:12]}"


def images(move: Move) -> str:
    """Images: what takes long and needs no mail."""
    move.compose("pull", "--quiet", "--ignore-buildable")
    move.compose("build", "--quiet")
    return "fetched and built"


def restore(move: Move) -> str:
    """Everything of the last copy: settings, secrets, keys, accounts and mail; no tunnel yet."""
    key = ["--identity", str(move.identity)] if move.identity else []
    move.mailctl("restore", "--from", move.source, *key, "--yes", COMPOSE_PROFILES="none")
    vars(move.context).pop("env_file", None)  # the .env of the old host is here now
    return "restored and read back"


def queue(move: Move) -> str:
    """The queue of the old host. Postfix starts in the next step: a repetition doubles nothing."""
    if not (move.carried and (move.carried / QUEUE).exists()):
        return "none was carried"
    found = move.server.running()["postfix"]
    stop(move, ("postfix",))
    with (move.carried / QUEUE).open("rb") as file:
        # docker cp writes into no container whose root file system is read-only.
        run = ("docker", "run", "--rm", "--interactive", *CONFINED, f"--volumes-from={found.id}")
        where = ("--extract", "--same-owner", "--same-permissions", "--directory", SPOOL.rpartition("/")[0])
        program(*run, "--entrypoint=tar", found.image_id, *where, stdin=file)
    return "carried over"


def start(move: Move) -> str:
    """All services but the tunnel, until they are healthy."""
    move.compose("up", "--detach", "--wait", "--no-build", edge=False)
    return "healthy"


def canaries(move: Move) -> str:
    """Canaries: a mail, a virus and log-ins through the whole path."""
    move.mailctl("canaries")
    return "well"


def edge(move: Move) -> str:
    """The tunnel leads here: its token came with the secrets."""
    move.compose("up", "--detach", "--wait", "--no-build")
    move.keep(opened=time.time())
    stopped = _old(move).get("stopped")
    move.keep(seconds=round(move.state["opened"] - stopped, 1) if stopped else None)
    return f"without service for {move.state['seconds']:.0f} seconds" if stopped else "open"


def _old(move: Move) -> dict[str, Any]:
    """What the old host noted; empty when its folder was not carried."""
    if not move.carried:
        return {}
    try:
        found: dict[str, Any] = json.loads((move.carried / JOURNAL).read_bytes())
    except OSError as error:
        fix = "copy HDD_PATH/.mailctl/move of the old host"
        raise Refused(Problem("--carried", f"cannot be read: {error.strerror}", fix)) from None
    return found


FIRST: tuple[Step, ...] = (check, images)
STEPS: tuple[Step, ...] = (*FIRST, restore, queue, start, canaries, edge)
