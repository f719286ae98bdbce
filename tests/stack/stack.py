"""A running local stack: how the tests start it, look into it and end it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from threading import Event
from time import monotonic
from typing import Any, TypeVar

import httpx
import pytest

T = TypeVar("T")
ARTIFACTS = Path(os.environ.get("ARTIFACTS", "artifacts")).absolute()
# What tests have to say, such as figures: `make docker-test` shows it at its end.
SAID = ARTIFACTS / "said.log"
PORTS = ("WEB", "SINK", "IMAPS", "SUBMISSION", "SUBMISSIONS", "API")


def eventually(look: Callable[[], T], limit: float = 30, every: float = 0.2) -> T:
    """Return what `look` gives once it is true; after `limit` seconds fail with its last answer or error.

    The last look begins when the time is over: what came true in time is seen, however long a look takes.
    """
    end, pause = monotonic() + limit, Event()
    while True:
        over = monotonic() > end
        try:
            last: object = (answer := look())
            if answer:
                return answer
        except (OSError, AssertionError, httpx.TransportError) as error:
            last = error
        if over:
            raise AssertionError(f"not within {limit:g} s; last: {last!r}")
        pause.wait(every)


def speaker(config: pytest.Config) -> Callable[[str], None]:
    """Return what writes a line past pytest's capturing: into a file from a process of pytest-xdist."""
    reporter = config.pluginmanager.getplugin("terminalreporter")
    capture = config.pluginmanager.getplugin("capturemanager")

    def to_the_terminal(line: str) -> None:
        with capture.global_and_fixture_disabled():
            reporter.ensure_newline()
            reporter.write_line(line)

    def into_a_file(line: str) -> None:
        ARTIFACTS.mkdir(parents=True, exist_ok=True)
        with SAID.open("a", encoding="utf-8") as file:
            file.write(f"{line}\n")

    return into_a_file if hasattr(config, "workerinput") else to_the_terminal


def run(*command: str, cwd: Path, env: Mapping[str, str] | None = None, limit: float = 900) -> str:
    """Run a command to its end and return what it printed; a failure shows the whole output."""
    done = subprocess.run(
        command,
        cwd=cwd,
        env={**os.environ, **(env or {})},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=limit,
        check=False,
    )
    assert done.returncode == 0, f"{' '.join(command)} exited {done.returncode}:\n{done.stdout[-6000:]}"
    return done.stdout


#: Removals that run beside the next tests.
_REMOVALS: list[subprocess.Popen[bytes]] = []


def discard(name: str) -> None:
    """End a container now, and remove it meanwhile: an engine of its own leaves a million small files."""
    subprocess.run(["docker", "kill", name], capture_output=True, timeout=300, check=False)
    words = ("docker", "rm", "--force", "--volumes", name)
    _REMOVALS.append(subprocess.Popen(words, stdout=subprocess.DEVNULL))


def discarded() -> None:
    """Wait until all of them are removed."""
    for removal in _REMOVALS:
        assert removal.wait(900) == 0, f"{removal.args} failed"
    _REMOVALS.clear()


def clear(name: str) -> None:
    """Remove what a killed run left of a project or host: its volumes hold another run's passwords."""
    for look, remove in (
        ("ps --all", "rm --force --volumes"),
        ("volume ls", "volume rm"),
        ("network ls", "network rm"),
    ):
        # The engine may be removing one of them already, and then refuses to do it again.
        eventually(lambda look=look, remove=remove: _all_gone(name, look.split(), remove.split()), limit=60)


def _all_gone(name: str, look: list[str], remove: list[str]) -> bool:
    """Remove what belongs to a project or host; whether nothing was left of it."""
    shown = f'{{{{.Name{"s" * (look[0] == "ps")}}}}} {{{{.Label "com.docker.compose.project"}}}}'
    rows = [row.split() for row in run("docker", *look, "--format", shown, cwd=Path("/")).splitlines()]
    left = [row[0] for row in rows if any(n == name or n.startswith(f"{name}-") for n in row)]
    if left:
        subprocess.run(["docker", *remove, *left], capture_output=True, timeout=300, check=False)
    return not left


@dataclass(frozen=True)
class Stack:
    """The containers of one generated repository, started by its own `make local`."""

    repository: Path
    project: str
    overrides: tuple[Path, ...]
    first_port: int
    output: list[str] = field(default_factory=list)

    @property
    def environment(self) -> dict[str, str]:
        ports = {f"LOCAL_{name}_PORT": str(self.first_port + n) for n, name in enumerate(PORTS)}
        return {**ports, "MAILCTL_LOCAL_OVERRIDES": os.pathsep.join(map(str, self.overrides))}

    def make(self, target: str) -> str:
        return run("make", "--no-print-directory", target, cwd=self.repository, env=self.environment)

    def up(self) -> None:
        self.output.append(self.make("local"))

    def down(self) -> None:
        """Remove the containers and every state, so that nothing is left on the machine."""
        # Nothing of it is looked at again: without this each service is given its time to end well.
        containers = map(self.container, self.services())
        subprocess.run(["docker", "kill", *containers], capture_output=True, timeout=300, check=False)
        self.mailctl("local", "down", "--volumes", "--yes")

    def mailctl(self, *words: str) -> str:
        return run(".venv/bin/mailctl", *words, cwd=self.repository, env=self.environment)

    @cached_property
    def info(self) -> dict[str, str]:
        """Addresses, ports and passwords of the trial, as `mailctl local info` gives them."""
        return json.loads(self.mailctl("local", "info", "--json"))

    def secret(self, name: str) -> str:
        return (self.repository / ".local" / "secrets" / name).read_text()

    def container(self, service: str) -> str:
        return f"{self.project}-{service}-1"

    def inspect(self, service: str) -> dict[str, Any]:
        return json.loads(run("docker", "inspect", self.container(service), cwd=self.repository))[0]

    def services(self) -> list[str]:
        names = run(
            *("docker", "ps", "--all", "--filter", f"label=com.docker.compose.project={self.project}"),
            *("--format", '{{.Label "com.docker.compose.service"}}'),
            cwd=self.repository,
        )
        return sorted(names.split())

    def networks(self) -> dict[str, dict[str, Any]]:
        """The stack's networks by their names in the compose file."""
        return {
            name: self._object("network", name)
            for name in ("edge", "web", "mail", "scan", "data", "reports", "egress")
        }

    def volume(self, name: str) -> dict[str, Any]:
        return self._object("volume", name)

    def _object(self, kind: str, name: str) -> dict[str, Any]:
        return json.loads(run("docker", kind, "inspect", f"{self.project}_{name}", cwd=self.repository))[0]

    def exec(self, service: str, *command: str, stdin: str = "") -> str:
        done = subprocess.run(
            ["docker", "exec", "--interactive", self.container(service), *command],
            input=stdin,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, f"{service}: {' '.join(command)}: {done.stdout}{done.stderr}"
        return done.stdout

    def sql(self, statement: str, **values: str) -> str:
        """What the accounts' database answers to root; `@name` in the statement is the value of that name."""
        given = "".join(f"SET @{name} = '{value}';\n" for name, value in values.items())
        client = (
            "MYSQL_PWD=$(cat /run/secrets/mariadb_root_password) exec mariadb --user=root --batch mailserver"
        )
        return self.exec(
            "mariadb", "sh", "-c", f"{client} --skip-column-names", stdin=given + statement
        ).strip()

    def logs(self, service: str) -> str:
        done = subprocess.run(
            ["docker", "logs", self.container(service)],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=300,
            check=True,
        )
        return done.stdout

    def docker(self, verb: str, *services: str) -> None:
        run("docker", verb, *map(self.container, services), cwd=self.repository)

    def healthy(self, *services: str) -> None:
        """Wait until each of these containers is healthy (a test stopped or restarted it)."""
        for service in services:
            eventually(lambda s=service: self.inspect(s)["State"]["Health"]["Status"] == "healthy", limit=120)

    def keep(self, reason: str) -> None:
        """Write the log of every container into the artifacts, for whoever looks into a failure."""
        folder = ARTIFACTS / self.project / reason
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        for service in self.services():
            (folder / f"{service}.log").write_text(self.logs(service))
