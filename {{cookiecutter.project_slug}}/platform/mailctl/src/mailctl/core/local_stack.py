"""What the local stack is: where its state lies and how compose is called. Never touches .env or secrets/."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mailctl.core.compose import Compose
from mailctl.core.context import Context
from mailctl.core.errors import Misuse, Problem, Refused

OVERRIDES_VARIABLE = "MAILCTL_LOCAL_OVERRIDES"
COMPOSE_FILES = ("docker-compose.yml", "compose.local.yml")
# What a shell may have set for the real server must not leak into the trial.
FOREIGN = ("COMPOSE_FILE", "COMPOSE_PROFILES", "COMPOSE_PROJECT_NAME", "COMPOSE_ENV_FILES")
DEFAULTS: dict[str, int] = {
    "LOCAL_WEB_PORT": 8080,
    "LOCAL_SINK_PORT": 8025,
    "LOCAL_IMAPS_PORT": 1993,
    "LOCAL_SUBMISSION_PORT": 1587,
    "LOCAL_SUBMISSIONS_PORT": 1465,
    "LOCAL_API_PORT": 8000,
}


@dataclass(frozen=True)
class LocalStack:
    """One local stack; all its state lies below `home`."""

    context: Context
    home: Path
    project: str
    files: tuple[Path, ...]
    ports: Mapping[str, int]

    @classmethod
    def of(cls, context: Context, overrides: Sequence[Path] = ()) -> "LocalStack":
        """The local stack of the repository. Raises Refused where none was ever started, and Misuse."""
        home = context.repo / ".local"
        if not (home / ".env").is_file():
            raise Refused(Problem("local stack", "was never started", "make local", value=str(home)))
        settings = fixed(home)
        environ = {n: v for n, v in context.environ.items() if n not in FOREIGN} | settings
        inner = Context(context.repo, context.out, environ, home / ".env")
        ports = read_ports(inner)
        inner.environ = {**environ, **{name: str(port) for name, port in ports.items()}}
        files = tuple(context.repo / name for name in COMPOSE_FILES)
        return cls(inner, home, f"{context.slug}-local", (*files, *_overrides(context, overrides)), ports)

    @property
    def ssd(self) -> Path:
        return self.home / "ssd"

    @property
    def hdd(self) -> Path:
        return self.home / "hdd"

    @property
    def secrets(self) -> Path:
        return self.home / "secrets"

    @property
    def compose(self) -> Compose:
        options = ["--project-name", self.project, "--env-file", str(self.context.env_path)]
        for file in self.files:
            options += ["--file", str(file)]
        return Compose(self.context.repo, tuple(options), self.context.environ)


def fixed(home: Path) -> dict[str, str]:
    """What is not for the user to choose in a trial; it wins over every file."""
    return {
        "SSD_PATH": str(home / "ssd"),
        "HDD_PATH": str(home / "hdd"),
        "SECRETS_DIR": str(home / "secrets"),
        # Nothing of a trial is offered to other machines, and the tunnel is not part of it.
        "LAN_ADDRESS": "127.0.0.1",
        "COMPOSE_PROFILES": "",
    }


def _overrides(context: Context, given: Sequence[Path]) -> tuple[Path, ...]:
    """Further compose files: those of the environment first, then those of the command line."""
    listed = [Path(part) for part in context.environ.get(OVERRIDES_VARIABLE, "").split(os.pathsep) if part]
    files = tuple(path.expanduser().absolute() for path in (*listed, *given))
    missing = [path for path in files if not path.is_file()]
    if missing:
        fix = f"name existing compose files (--override, {OVERRIDES_VARIABLE})"
        raise Misuse(*(Problem("--override", "there is no such file", fix, value=str(p)) for p in missing))
    return files


def read_ports(context: Context) -> dict[str, int]:
    """The port of each LOCAL_*_PORT variable. Raises Refused for what is no port and for one used twice."""
    ports: dict[str, int] = {}
    problems: list[Problem] = []
    for name, default in DEFAULTS.items():
        text = context.setting(name, str(default))
        if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= 65535:
            problems.append(Problem(name, "is not a port", "use a number from 1 to 65535", value=text))
            continue
        twin = next((other for other, port in ports.items() if port == int(text)), None)
        if twin:
            problems.append(Problem(name, f"is the same port as {twin}", "give each its own", value=text))
        ports[name] = int(text)
    if problems:
        raise Refused(*problems)
    return ports
