"""The only module that runs `docker compose`: one place for its arguments, environment and failures."""

import json
import os
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mailctl.core.errors import Problem, Refused

OUTPUT_LINES = 25


@dataclass(frozen=True)
class Compose:
    """One compose project: `options` come before the command, `environ` is all that compose sees."""

    repo: Path
    options: tuple[str, ...] = ()
    environ: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))

    def run(self, *arguments: str, stdin: str | None = None) -> str:
        """Run to the end and return stdout. Raises Refused with the last lines compose printed."""
        with _installed():
            result = subprocess.run(
                self._command(arguments),
                cwd=self.repo,
                env=dict(self.environ),
                input=stdin,
                capture_output=True,
                text=True,
                check=False,
            )
        if result.returncode:
            raise Refused(failure(arguments, result.returncode), details=last_lines(result.stderr))
        return result.stdout

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Start in the background; stdout and stderr arrive together, line by line."""
        with _installed():
            return subprocess.Popen(
                self._command(arguments),
                cwd=self.repo,
                env=dict(self.environ),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
            )

    def config(self) -> dict[str, Any]:
        """The merged configuration as compose understands it; services of inactive profiles are absent."""
        merged: dict[str, Any] = json.loads(self.run("config", "--format", "json"))
        return merged

    def _command(self, arguments: Sequence[str]) -> list[str]:
        return ["docker", "compose", "--project-directory", str(self.repo), *self.options, *arguments]


@contextmanager
def _installed() -> Iterator[None]:
    """Turn a missing docker command into a refusal."""
    try:
        yield
    except FileNotFoundError:
        raise Refused(
            Problem(
                field="docker",
                wrong="the docker command is not on PATH",
                fix="install Docker Engine with the compose plugin",
                next="docker compose version",
            )
        ) from None


def failure(arguments: Sequence[str], code: int) -> Problem:
    """The refusal for a compose command that failed; its own words go into the details."""
    words = " ".join(arguments[:2] if arguments and arguments[0] == "exec" else arguments[:1])
    return Problem(
        field=f"docker compose {words}",
        wrong=f"failed with exit code {code}; what it said stands above",
        fix="fix what it names, then run the same command again",
    )


def last_lines(text: str, limit: int = OUTPUT_LINES) -> str:
    return "\n".join(text.strip().splitlines()[-limit:])


def start_order(config: Mapping[str, Any]) -> list[str]:
    """The services of a merged configuration, each after those it depends on."""
    services: Mapping[str, Any] = config["services"]
    ordered: dict[str, None] = {}

    def visit(name: str) -> None:
        for needed in services[name].get("depends_on") or {}:
            if needed in services and needed not in ordered:
                visit(needed)
        ordered[name] = None

    for name in services:
        visit(name)
    return list(ordered)
