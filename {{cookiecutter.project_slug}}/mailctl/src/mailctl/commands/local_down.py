"""`mailctl local down`: end the local stack; with --volumes also forget everything it held."""

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from mailctl.context import Context, JsonOption, RepoOption, command
from mailctl.errors import Problem, Refused

if TYPE_CHECKING:
    from mailctl.local.stack import LocalStack

VolumesOption = Annotated[bool, typer.Option("--volumes", help="Also delete its mail and secrets.")]
YesOption = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask before deleting.")]


def run(
    volumes: VolumesOption = False,
    yes: YesOption = False,
    repo: RepoOption = None,
    as_json: JsonOption = False,
) -> None:
    """Stop and remove the local stack; its state stays unless --volumes is given."""
    from mailctl.local.stack import LocalStack

    with command(repo, as_json) as context:
        stack = LocalStack.of(context)
        if volumes and not yes:
            _confirm(context, stack)
        stack.compose.run("down", "--remove-orphans", *(["--volumes"] if volumes else []))
        if volumes:
            _forget(stack)
        context.out.show(
            f"{stack.project}: removed with all its state"
            if volumes
            else f"{stack.project}: removed; its state is kept in {stack.home}"
        )
        context.out.document({"ok": True, "project": stack.project, "state_removed": volumes})


def _confirm(context: Context, stack: "LocalStack") -> None:
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


def _forget(stack: "LocalStack") -> None:
    """Delete the state; what belongs to container users is deleted by a container, so sudo is not needed."""
    import shutil

    try:
        shutil.rmtree(stack.home)
    except PermissionError:
        from mailctl.engine import connected

        image = stack.compose.config()["services"]["mariadb"]["image"]
        with connected() as engine:
            for folder in (stack.ssd, stack.hdd):
                engine.remove_below(str(folder), image)
        shutil.rmtree(stack.home)
