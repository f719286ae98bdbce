"""On the old host: a copy while mail flows, then no mail comes in, the queue empties, and the last copy."""

import subprocess
import threading
import time
from pathlib import Path

from mailctl.core.errors import Problem, Refused
from mailctl.core.mail_queue import waiting
from mailctl.move.steps import INTAKE, MAIL, QUEUE, SPOOL, Move, Step, commit, program, stop

UNITS, POLL_SECONDS = Path("/etc/systemd/system"), 2.0


def check(move: Move) -> str:
    """This host is well, and committed. Raises Refused."""
    sick = [name for name, state in move.server.running().items() if not state.ok]
    if sick or not move.server.running():
        wrong = f"not healthy: {', '.join(sick)}" if sick else "is not running"
        raise Refused(Problem("the stack", wrong, "make status says what to do"))
    move.keep(commit=commit(move.context))
    return f"all services are healthy, at commit {move.state['commit'][:12]}"


def copy(move: Move) -> str:
    """A copy while mail flows: a snapshot, and its upload where there is a bucket."""
    move.mailctl("backup")
    if move.context.setting("BACKUP_BUCKET"):
        move.mailctl("sync")
    return "saved"


def timers(move: Move, verb: str = "disable") -> str:
    """The timers stop: nothing starts services or backups by itself any more."""
    units = UNITS.glob(f"{move.context.project_name}-*")
    names = sorted(unit.name for unit in units if unit.suffix in (".timer", ".path"))
    if names:
        program("systemctl", verb, "--now", *names, stdout=subprocess.DEVNULL)
    return f"{len(names)} units"


def close(move: Move) -> str:
    """Nothing comes in any more."""
    if "stopped" not in move.state:
        move.keep(stopped=time.time())
    stop(move, INTAKE)
    return "no mail comes in; senders and the edge keep it and try again"


def drain(move: Move) -> str:
    """The queue empties, as far as it does so in time."""
    move.server.inside("postfix", ["postqueue", "-f"])
    end, pause = time.monotonic() + move.wait, threading.Event()
    while (left := len(waiting(move.server))) and time.monotonic() < end:
        pause.wait(POLL_SECONDS)
    return f"{left} mails are left and will be carried" if left else "empty"


def carry(move: Move) -> str:
    """Postfix and Dovecot stop, and the queue is saved."""
    container = move.server.running()["postfix"].id
    stop(move, MAIL)
    partial = move.folder / f"{QUEUE}.partial"
    with partial.open("wb") as file:
        program("docker", "cp", "--archive", f"{container}:{SPOOL}", "-", stdout=file)
    partial.replace(move.folder / QUEUE)
    return f"{move.folder / QUEUE}"


def last(move: Move) -> str:
    """The last copy."""
    return copy(move)


def undo(move: Move) -> None:
    """Open this host again. Raises Refused."""
    move.compose("up", "--detach", "--wait", "--no-build")
    timers(move, "enable")
    for path in move.folder.iterdir():
        path.unlink()


STEPS: tuple[Step, ...] = (check, copy, timers, close, drain, carry, last)
