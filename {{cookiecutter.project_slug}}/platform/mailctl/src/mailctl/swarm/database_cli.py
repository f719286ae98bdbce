"""`mailctl db`: the database where it runs on several hosts. Work is imported when a command runs."""

from typing import TYPE_CHECKING, Annotated

import typer

from mailctl.core.context import Context, JsonOption, RepoOption, command, group

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mailctl.core.members import Member

app = group("The database on several hosts: how its members are, and what to do when all were down.")
WithoutOption = Annotated[
    list[str] | None,
    typer.Option("--without", help="A member that is lost for good; may be given several times."),
]
FromOption = Annotated[
    str | None, typer.Option("--from", help="Whose tables count, when members have different histories.")
]
YesOption = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]


@app.callback()
def db() -> None:
    """The database on several hosts: how its members are, and what to do when all were down."""


@app.command()
def status(repo: RepoOption = None, as_json: JsonOption = False) -> None:
    """What each member says of itself. Exit code 1: not all three are in the database, or none writes."""
    from mailctl.core.members import ask
    from mailctl.swarm.database import healthy

    with command(repo, as_json) as context:
        members = ask(context)
        _show(context, members)
        context.finish({"ok": healthy(members), "members": [member.as_dict() for member in members]})


@app.command()
def recover(
    without: WithoutOption = None,
    source: FromOption = None,
    yes: YesOption = False,
    repo: RepoOption = None,
    as_json: JsonOption = False,
) -> None:
    """Have the member that is furthest found the database again, when the three cannot by themselves."""
    from mailctl.core.errors import Problem, Refused
    from mailctl.core.members import ask
    from mailctl.swarm.database import carry_out, plan

    with command(repo, as_json) as context:
        decided = plan(ask(context), without or (), source)
        for line in decided.lines():
            context.out.note(line)
        if not yes and not typer.confirm("Do this?", err=True):
            raise Refused(
                Problem("db recover", "not confirmed; nothing was changed", ".venv/bin/mailctl db recover")
            )
        members = carry_out(context, decided)
        _show(context, members)
        context.finish({"ok": True, "plan": decided.lines(), "members": [each.as_dict() for each in members]})


def _show(context: Context, members: "Sequence[Member]") -> None:
    from mailctl.swarm.database import place

    for member in members:
        context.out.row(member.name, f"{member.state:9} {place(member)}  {_where(member)}")


def _where(member: "Member") -> str:
    return member.host.removeprefix("ssh://") or ("here" if member.container else "")
