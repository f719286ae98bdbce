"""Runs a stand-in the way the compose file runs the image it stands for: with nothing it does not need."""

from __future__ import annotations

import json
import subprocess
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

HARDENING = ("--read-only", "--cap-drop=ALL", "--security-opt=no-new-privileges")
WAIT_SECONDS = 180
_COMMAND_SECONDS = 180
#: Who has not ended so many seconds after a stop is killed.
KILLED_AFTER = 30


def docker(*arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    """Run a docker command and catch what it prints."""
    return subprocess.run(
        ["docker", *arguments],
        input=stdin,
        capture_output=True,
        text=True,
        timeout=_COMMAND_SECONDS,
        check=False,
    )


def wait_until(condition: Callable[[], Any], what: str, seconds: float = WAIT_SECONDS) -> Any:
    """Return the condition's first true value; fail with ``what`` if there is none in time."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if value := condition():
            return value
        time.sleep(0.1)
    raise AssertionError(f"{what}: not within {seconds:.0f} s")


@dataclass
class Container:
    """A running stand-in; ``options`` are added to ``docker run``, ``command`` to the end of it."""

    image: str
    options: Sequence[str] = ()
    command: Sequence[str] = ()
    name: str = field(default_factory=lambda: f"standins-test-{uuid.uuid4().hex[:8]}")

    def start(self) -> Container:
        """Create and start it."""
        arguments = [
            "run",
            "--detach",
            "--name",
            self.name,
            *HARDENING,
            *self.options,
            self.image,
            *self.command,
        ]
        result = docker(*arguments)
        assert result.returncode == 0, result.stderr
        return self

    def remove(self) -> None:
        """Stop and remove it, with its anonymous volumes."""
        docker("rm", "--force", "--volumes", self.name)

    def execute(self, *command: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        """Run a command inside."""
        return docker("exec", *(["--interactive"] if stdin else []), self.name, *command, stdin=stdin)

    def succeeds(self, *command: str) -> bool:
        """Whether a command inside ends with 0."""
        return self.execute(*command).returncode == 0

    def wait_healthy(self, *command: str) -> None:
        """Wait until a health command passes inside; show the log if it never does."""
        try:
            wait_until(lambda: self.succeeds(*command) or self.exited(), f"{command} in {self.image}")
            assert not self.exited(), f"{self.image} has ended"
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.log()[-3000:]}") from error

    def log(self) -> str:
        """Everything it has printed."""
        result = docker("logs", self.name)
        return result.stdout + result.stderr

    def state(self) -> dict[str, Any]:
        """What ``docker inspect`` says."""
        details: dict[str, Any] = json.loads(docker("inspect", self.name).stdout)[0]
        return details

    def exited(self) -> bool:
        """Whether it has ended."""
        return bool(self.state()["State"]["Status"] == "exited")

    def has_tool(self, name: str) -> bool:
        """Whether a program of that name can be run inside."""
        return self.succeeds("sh", "-c", f"command -v {name}")

    def address(self, port: int) -> tuple[str, int]:
        """Where a port is published on this machine (option ``--publish=127.0.0.1::PORT``)."""
        host, _, number = docker("port", self.name, str(port)).stdout.split()[0].rpartition(":")
        return host, int(number)

    def stop(self) -> float:
        """Stop it as compose would and return the seconds that this took."""
        began = time.monotonic()
        docker("stop", "--time", str(KILLED_AFTER), self.name)
        return time.monotonic() - began
