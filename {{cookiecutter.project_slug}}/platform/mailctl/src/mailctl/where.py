"""Which stack is meant, and where its disk and secrets are."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mailctl.context import Context
from mailctl.errors import Problem, Refused

if TYPE_CHECKING:
    from mailctl.runtime import ComposeRuntime

LocalOption = Annotated[bool, typer.Option("--local", help="Of the trial that make local started.")]


def stack(context: Context, local: bool) -> Context:
    """The context itself, or that of the local trial: paths, secrets and project name are the trial's."""
    if not local:
        return context
    from mailctl.local.stack import LocalStack

    trial = LocalStack.of(context)
    # For `docker compose` as well: the trial is more files than the server.
    trial.context.environ = {
        **trial.context.environ,
        "COMPOSE_PROJECT_NAME": trial.project,
        "COMPOSE_FILE": os.pathsep.join(map(str, trial.files)),
        "COMPOSE_ENV_FILES": str(trial.context.env_path),
    }
    return trial.context


@contextmanager
def runtime(context: Context, local: bool = False) -> "Iterator[ComposeRuntime]":
    """What runs the services, of the server or of the local trial."""
    from mailctl.engine import connected
    from mailctl.runtime import ComposeRuntime

    with connected() as engine:
        yield ComposeRuntime(stack(context, local), engine)


def private(folder: Path) -> Path:
    """Make a folder and those above it that are missing, each for its owner alone, which mkdir does not."""
    for each in (*reversed(folder.parents), folder):
        each.mkdir(mode=0o700, exist_ok=True)
    return folder


def hdd(context: Context) -> Path:
    """HDD_PATH. Raises Refused when it is not set, or has no mailboxes: the disk is not mounted."""
    if not context.setting("HDD_PATH"):
        raise Refused(Problem("HDD_PATH", "is not set", "write HDD_PATH=/absolute/path into .env"))
    path = context.folder("HDD_PATH", "")
    if not (path / "mailboxes").is_dir():
        wrong = "has no folder mailboxes: is the disk mounted?"
        raise Refused(Problem("HDD_PATH", wrong, f"mount {path}; on a new host: make setup", value=str(path)))
    return path


def secrets(context: Context) -> Path:
    """The folder of the secret files."""
    return context.folder("SECRETS_DIR", "secrets")
