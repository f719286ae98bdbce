"""`mailctl local down --volumes`: asks, and forgets everything that the trial held."""

import shutil
import sys

import typer

from mailctl.core.context import Context
from mailctl.core.engine import connected
from mailctl.core.errors import Problem, Refused
from mailctl.core.local_stack import LocalStack


def confirm(context: Context, stack: LocalStack) -> None:
    """Ask on a terminal; elsewhere nobody can answer, so --yes is required. Raises Refused."""
    refusal = Refused(
        Problem(
            field="--volumes",
            value=str(stack.home),
            wrong="deleting all local mail and secrets was not confirmed; nothing was changed",
            fix="add --yes",
        )
    )
    if context.out.as_json or not sys.stdin.isatty():
        raise refusal
    if not typer.confirm(f"Delete all mail, accounts and secrets in {stack.home}?"):
        raise refusal


def forget(stack: LocalStack) -> None:
    """Delete the state; what belongs to container users is deleted by a container, so sudo is not needed."""
    try:
        shutil.rmtree(stack.home)
    except PermissionError:
        image = stack.compose.config()["services"]["mariadb"]["image"]
        with connected() as engine:
            for folder in (stack.ssd, stack.hdd):
                engine.remove_below(str(folder), image)
        shutil.rmtree(stack.home)
