"""Starts the local stack and waits until all of it is healthy, or says which part is not and why."""

import threading
import time
from collections import deque
from collections.abc import Sequence
from subprocess import Popen
from typing import Any

from mailctl.core.compose import Compose, failure
from mailctl.core.engine import Engine
from mailctl.core.errors import Problem, Refused
from mailctl.core.local_stack import LocalStack
from mailctl.core.stack_state import ServiceState, services
from mailctl.local.progress import Progress

POLL_SECONDS = 1.0
# The engine doubles its pause after each restart: eight are half a minute of failing, and no accident.
MAX_RESTARTS = 8
LOG_LINES = 15
# Waiting for others: not the cause of anything.
PENDING = ("absent", "created")


class Startup:
    """One `up` under way: its process, what it prints, and the states seen last."""

    def __init__(self, engine: Engine, stack: LocalStack, expected: Sequence[str]) -> None:
        self._engine, self._stack, self._expected = engine, stack, expected
        self.began = time.monotonic()
        self.states: list[ServiceState] = []
        self._restarts_before: dict[str, int] = {}
        self.lines: deque[str] = deque(maxlen=LOG_LINES)

    @property
    def seconds(self) -> float:
        return time.monotonic() - self.began

    def look(self) -> list[str]:
        """Ask the engine again; returns a line for each service whose state has changed."""
        before = {state.service: state.word for state in self.states}
        self.states = services(self._engine, self._stack.project, self._expected)
        for state in self.states:
            if state.container:
                self._restarts_before.setdefault(state.container.id, state.container.restarts)
        changed = [s for s in self.states if s.container and before.get(s.service) != s.word]
        return [f"{self.seconds:4.0f} s  {state.service}: {state.word}" for state in changed]

    def collect(self, process: "Popen[str]") -> threading.Thread:
        """Read what compose prints beside the waiting, so that its pipe never fills."""
        thread = threading.Thread(target=lambda: self.lines.extend(process.stdout or ()), daemon=True)
        thread.start()
        return thread

    @property
    def healthy(self) -> bool:
        return bool(self.states) and all(state.ok for state in self.states)

    @property
    def hopeless(self) -> bool:
        """Whether a container has been restarted so often that waiting on will not help."""
        found = [state.container for state in self.states if state.container]
        return any(c.restarts - self._restarts_before[c.id] >= MAX_RESTARTS for c in found)


def start(
    engine: Engine, stack: LocalStack, expected: Sequence[str], limit: float, progress: Progress
) -> list[ServiceState]:
    """`up -d`, then wait at most `limit` seconds for health. Raises Refused with the logs of what fails."""
    startup = Startup(engine, stack, expected)
    process = stack.compose.start("up", "--detach", "--remove-orphans", "--no-build")
    reader, pause = startup.collect(process), threading.Event()
    try:
        with progress.display(lambda: _table(startup, progress.width)) as redraw:
            while True:
                ended = process.poll()
                for line in startup.look():
                    if not progress.live:
                        progress.line(line)
                redraw()
                late = startup.hopeless or startup.seconds >= limit
                if ended or late or (ended == 0 and startup.healthy):
                    break
                pause.wait(POLL_SECONDS)
    finally:
        if process.poll() is None:
            process.terminate()
        process.wait()
        reader.join()
    if ended == 0 and startup.healthy:
        progress.line(f"{len(startup.states)} services are healthy after {startup.seconds:.0f} s")
        return startup.states
    raise _failed(engine, stack, startup, ended)


def pull_missing(compose: Compose, engine: Engine, config: dict[str, Any], progress: Progress) -> None:
    """Fetch the images that are neither built here nor present. Raises Refused with what compose said."""
    missing = [
        name
        for name, service in config["services"].items()
        if "build" not in service and not engine.has_image(service["image"])
    ]
    if not missing:
        progress.line("all images are here")
        return
    progress.line(f"fetching images of: {', '.join(missing)}")
    compose.run("pull", "--quiet", *missing)


def _table(startup: Startup, width: int) -> Any:
    from rich.console import Group
    from rich.text import Text

    from mailctl.core.service_table import service_table

    if not startup.states:
        return Text("")
    good = sum(state.ok for state in startup.states)
    head = Text(f"  {good} of {len(startup.states)} healthy after {startup.seconds:.0f} s", style="bold")
    return Group(head, service_table(startup.states, width, brief=True))


def _failed(engine: Engine, stack: LocalStack, startup: Startup, ended: int | None) -> Refused:
    """Name the services that keep the stack from being healthy, with their last words."""
    bad = [state for state in startup.states if not state.ok]
    causes = [state for state in bad if state.word not in PENDING]
    if not causes and ended:
        return Refused(failure(["up"], ended), details="".join(startup.lines))
    causes = causes or bad
    names = ", ".join(f"{state.service} ({state.word})" for state in causes)
    said = f"docker compose up: {startup.lines[-1].strip()}\n" if ended and startup.lines else ""
    logs = f"docker logs {causes[0].container.name}" if causes[0].container else None
    problem = Problem(
        field="local stack",
        value=stack.project,
        wrong=f"not healthy after {startup.seconds:.0f} s: {names}",
        fix="fix what the output above names; if it was only slow: .venv/bin/mailctl local up --wait 1800",
        next=logs,
    )
    # One that failed and came up again looks well, and may be why the others are not.
    again = [state for state in startup.states if state.ok and state.container and state.container.restarts]
    details = "\n".join(_last_words(engine, state) for state in (*again, *causes))
    return Refused(problem, details=f"{details}\n{said}")


def _last_words(engine: Engine, state: ServiceState) -> str:
    found = state.container
    if found is None:
        return f"--- {state.service}: no container was made"
    parts = [f"--- {state.service}: {state.word}, last lines of its log:"]
    parts.append(engine.logs(found.id, LOG_LINES).strip() or "(it wrote nothing)")
    if found.status == "running" and found.health_output:
        parts += [f"--- {state.service}: what its healthcheck said:", found.health_output]
    return "\n".join(parts)
