"""`mailctl local`: the whole stack on this machine. Work is imported when a command runs."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from mailctl.core.context import JsonOption, RepoOption, command, group

app = group("Try the whole stack on this machine, without any account.")

OverrideOption = Annotated[
    list[Path] | None,
    typer.Option("--override", help="A further compose file; may be given several times."),
]
WaitOption = Annotated[int, typer.Option("--wait", min=1, help="Seconds to wait until all is healthy.")]
VolumesOption = Annotated[bool, typer.Option("--volumes", help="Also delete its mail and secrets.")]
YesOption = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask before deleting.")]


@app.command()
def up(
    override: OverrideOption = None,
    wait: WaitOption = 600,
    repo: RepoOption = None,
    as_json: JsonOption = False,
) -> None:
    """Start the whole stack locally, without any account, and print how to log in."""
    from mailctl.core.errors import Problem, Refused
    from mailctl.core.hosts import several
    from mailctl.local.env import prepared
    from mailctl.local.info import read_info, show_info
    from mailctl.local.up import bring_up

    with command(repo, as_json) as context:
        if several(context):
            fix = "to try the services, make a repository for one host: scale: single"
            raise Refused(Problem("make local", "is for one machine, and nodes.yml names several", fix))
        stack = prepared(context, override or ())
        bring_up(context, stack, wait)
        info = read_info(stack)
        show_info(context.out, info)
        context.finish({"ok": True, **asdict(info)})


@app.command()
def down(
    volumes: VolumesOption = False,
    yes: YesOption = False,
    repo: RepoOption = None,
    as_json: JsonOption = False,
) -> None:
    """Stop and remove the local stack; its state stays unless --volumes is given."""
    from mailctl.local.down import confirm, forget
    from mailctl.local.env import prepared

    with command(repo, as_json) as context:
        stack = prepared(context)
        if volumes and not yes:
            confirm(context, stack)
        stack.compose.run("down", "--remove-orphans", *(["--volumes"] if volumes else []))
        if volumes:
            forget(stack)
        context.out.show(
            f"{stack.project}: removed with all its state"
            if volumes
            else f"{stack.project}: removed; its state is kept in {stack.home}"
        )
        context.finish({"ok": True, "project": stack.project, "state_removed": volumes})


@app.command()
def info(repo: RepoOption = None, as_json: JsonOption = False) -> None:
    """Print the addresses and passwords of the local stack."""
    from mailctl.local.env import prepared
    from mailctl.local.info import read_info, show_info

    with command(repo, as_json) as context:
        found = read_info(prepared(context))
        show_info(context.out, found)
        context.finish({"ok": True, **asdict(found)})


@app.command()
def check(
    fill: Annotated[int, typer.Option(min=0, help="Leave so many mails in the mailbox.")] = 0,
    expect: Annotated[int, typer.Option(min=0, help="So many of an earlier --fill must be there.")] = 0,
    wait: Annotated[float, typer.Option(min=1, help="Seconds to wait for a mail.")] = 120,
    repo: RepoOption = None,
    as_json: JsonOption = False,
) -> None:
    """Post a mail to the started local stack, read it over IMAP, and see a virus refused."""
    from mailctl.local.check import Mailbox, checks
    from mailctl.local.env import prepared
    from mailctl.local.info import read_info

    with command(repo, as_json) as context:
        stack = prepared(context)
        antivirus = "clamav" in stack.compose.config()["services"]
        steps = []
        for step in checks(Mailbox(read_info(stack), wait), antivirus, fill, expect):
            steps.append(step)
            context.out.row(step.name, f"{step.detail} ({step.seconds:.1f} s)")
        context.finish({"ok": True, "steps": [asdict(step) for step in steps]})
