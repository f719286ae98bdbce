"""Which stack is meant: the server, or the local trial."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from mailctl.core.context import Context

if TYPE_CHECKING:
    from mailctl.core.runtime import Runtime

LocalOption = Annotated[bool, typer.Option("--local", help="Of the trial that make local started.")]


def stack(context: Context, local: bool) -> Context:
    """The context itself, or that of the local trial: paths, secrets and project name are the trial's."""
    if not local:
        return context
    from mailctl.core.local_stack import LocalStack

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
def runtime(context: Context, local: bool = False) -> "Iterator[Runtime]":
    """What runs the services, of the server or of the local trial."""
    from mailctl.core.engine import connected
    from mailctl.core.runtime import Runtime

    with connected() as engine:
        yield Runtime(stack(context, local), engine)
