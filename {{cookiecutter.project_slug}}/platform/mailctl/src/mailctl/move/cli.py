"""`mailctl move away` and `move here`: a planned move to another host. Work is imported when it runs."""

from pathlib import Path
from typing import Annotated

import typer

from mailctl.accounts.api import YesOption, agree
from mailctl.core.context import JsonOption, RepoOption, command, group

app = group(
    "Move to another host: away on the old one, here on the new one (docs/runbooks/move-to-another-host.md)."
)

WaitOption = Annotated[
    float, typer.Option("--wait", help="Seconds in which the queue may empty itself.", min=0)
]
UndoOption = Annotated[bool, typer.Option("--undo", help="Stay: open this host again.")]
CheckOption = Annotated[bool, typer.Option("--check", help="Only look, and fetch the images.")]
FromOption = Annotated[
    str, typer.Option("--from", metavar="DIR|s3://…", help="The last snapshot of the old host.")
]
IdentityOption = Annotated[
    Path | None, typer.Option("--identity", metavar="FILE", help="The owner's age key.")
]
CarriedOption = Annotated[
    Path | None,
    typer.Option("--carried", metavar="DIR", help="HDD_PATH/.mailctl/move of the old host, copied here."),
]


@app.command()
def away(
    wait: WaitOption = 120.0,
    undo: UndoOption = False,
    yes: YesOption = False,
    repo: RepoOption = None,
    as_json: JsonOption = False,
) -> None:
    """Close this host: a copy, no more mail in, the queue empties, the last copy. Run again, it goes on."""
    from mailctl.core.stack import runtime
    from mailctl.move import away as old
    from mailctl.move.steps import Move, folder, run

    with command(repo, as_json) as context, runtime(context) as server:
        move = Move(context, server, folder(context), wait=wait)
        move.load("away")
        if undo:
            old.undo(move)
            context.out.show("This host is open again.")
            return context.finish({"ok": True, "steps": {}, "stopped": None, "carried": None})
        agree(context, yes or bool(move.state["done"]), "close", "this mail server for a move")
        run(move, old.STEPS)
        context.out.show(f"Copy {move.folder} to the new host, then there: .venv/bin/mailctl move here")
        document = {
            "steps": move.state["done"],
            "stopped": move.state["stopped"],
            "carried": str(move.folder),
        }
        context.finish({"ok": True, **document})


@app.command()
def here(
    source: FromOption = "",
    identity: IdentityOption = None,
    carried: CarriedOption = None,
    check: CheckOption = False,
    repo: RepoOption = None,
    as_json: JsonOption = False,
) -> None:
    """Open this host with the last copy of the old one, and say how long there was no service."""
    from mailctl.core.errors import Misuse, Problem
    from mailctl.core.stack import runtime
    from mailctl.move import here as new
    from mailctl.move.steps import Move, folder, run

    with command(repo, as_json) as context, runtime(context) as server:
        if not (check or source):
            raise Misuse(
                Problem("--from", "which snapshot?", "--from FOLDER/daily/DATE or --from s3://…/latest")
            )
        move = Move(context, server, folder(context), source, identity, carried=carried)
        move.load("here")
        run(move, new.FIRST if check else new.STEPS)
        if check:
            move.state["done"].pop("check")  # it is looked at again when the copy is there
            move.keep()
        else:
            context.out.show(
                "Look at the mail; then make restore ARGS=--confirm, make setup-host and make backup."
            )
        context.finish({"ok": True, "steps": move.state["done"], "seconds": move.state.get("seconds")})
