"""What the local stack is: where its state lies and how compose is called. Never touches .env or secrets/."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mailctl.compose import Compose
from mailctl.context import Context
from mailctl.errors import Misuse, Problem
from mailctl.local.ports import read_ports

OVERRIDES_VARIABLE = "MAILCTL_LOCAL_OVERRIDES"
COMPOSE_FILES = ("docker-compose.yml", "compose.local.yml")
# What a shell may have set for the real server must not leak into the trial.
FOREIGN = ("COMPOSE_FILE", "COMPOSE_PROFILES", "COMPOSE_PROJECT_NAME", "COMPOSE_ENV_FILES")


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
        """The local stack of the repository, its `.env` made if needed. Raises Refused and Misuse."""
        from mailctl.local.env import prepare_env

        home = context.repo / ".local"
        fixed = _fixed(home)
        prepare_env(context.repo / ".env.example", home / ".env", leave_out=fixed)
        environ = {n: v for n, v in context.environ.items() if n not in FOREIGN} | fixed
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


def _fixed(home: Path) -> dict[str, str]:
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
