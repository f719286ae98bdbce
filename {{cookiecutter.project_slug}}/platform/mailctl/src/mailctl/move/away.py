"""On the old host: a copy while mail flows, then no mail comes in, the queue empties, and the last copy."""

import subprocess
import threading
import time
from pathlib import Path

from mailctl.core.errors import Problem, Refused
from mailctl.core.mail_queue import waiting
from mailctl.move.steps import INTAKE, MAIL, QUEUE, SPOOL, Move, Step, commit, stop

UNITS, POLL_SECONDS = Path("/etc/systemd/system"), 2.0


def check(move: Move) -> str:
    """Everything is well, and committed. Raises Refused."""
    sick = [name for name, state in move.server.running().items() if not state.ok]
    if sick or not move.server.running():
        wrong = f"not healthy: {', '.join(sick)}" if sick else "is not running"
        raise Refused(Problem("the stack", wrong, "make status says what to do"))
    move.keep(commit=commit(move.context))
    return f"all services are healthy, at commit {move.state['commit'][:12]}"


def copy(move: Move) -> str:
    """A snapshot, and its upload where there is a bucket."""
    move.mailctl("backup")
    if move.context.setting("BACKUP_BUCKET"):
        move.mailctl("sync")
    return ""


def timers(move: Move, verb: str = "disable") -> str:
    """Nothing starts services or backups by itself any more."""
    names = sorted(path.name for path in UNITS.glob(f"{move.context.project_name}-*.timer"))
    if names:
        subprocess.run(["systemctl", verb, "--now", *names], check=True, capture_output=True)
    return f"{len(names)} timers"


def close(move: Move) -> str:
    """From here on senders and the edge keep their mail, and nobody reads."""
    if "stopped" not in move.state:
        move.keep(stopped=time.time())
    stop(move, INTAKE)
    return "no mail comes in; senders and the edge keep it and try again"


def drain(move: Move) -> str:
    """Let the queue empty itself, as far as it does so in time."""
    move.server.inside("postfix", ["postqueue", "-f"])
    end, pause = time.monotonic() + move.wait, threading.Event()
    while (left := len(waiting(move.server))) and time.monotonic() < end:
        pause.wait(POLL_SECONDS)
    return f"{left} mails are left and will be carried" if left else "empty"


def carry(move: Move) -> str:
    """Stop what changes mail, and save the queue as it is then."""
    container = move.server.running()["postfix"].id
    stop(move, MAIL)
    partial = move.folder / f"{QUEUE}.partial"
    with partial.open("wb") as file:
        subprocess.run(["docker", "cp", "--archive", f"{container}:{SPOOL}", "-"], stdout=file, check=True)
    partial.replace(move.folder / QUEUE)
    return f"{move.folder / QUEUE}"


def undo(move: Move) -> None:
    """Open this host again. Raises Refused."""
    move.compose("up", "--detach", "--wait", "--no-build")
    timers(move, "enable")
    for path in move.folder.iterdir():
        path.unlink()


STEPS = (
    Step("check", "This host is well", check),
    Step("copy", "A first copy, while mail flows", copy),
    Step("timers", "The timers stop", timers),
    Step("close", "Nothing comes in any more", close),
    Step("drain", "The queue empties", drain),
    Step("carry", "Postfix and Dovecot stop, the queue is saved", carry),
    Step("last", "The last copy", copy),
)
