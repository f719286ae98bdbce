"""`mailctl alias`: addresses that forward their mail."""

from typing import Annotated, Any

import typer

from mailctl.accounts.api import (
    PART,
    Api,
    MissingOption,
    SearchOption,
    YesOption,
    account_command,
    agree,
    show_rows,
    state,
)
from mailctl.core.context import Context, group

app = group("Aliases: addresses that forward their mail; @domain is a catch-all.")
SourceArgument = Annotated[
    str, typer.Argument(metavar="SOURCE", help="The alias, or @domain for its catch-all.")
]
DestinationArgument = Annotated[
    str | None, typer.Argument(metavar="[DESTINATION]", help="One of them; default: all.")
]
MAY_SEND = "Whether destinations that are mailboxes may send as the alias, too."
PATH = "/aliases"


def find(api: Api, source: str, destination: str | None) -> list[dict[str, Any]]:
    """The rows of an alias, or the one with this destination. Raises Refused."""
    from mailctl.core.errors import Problem, Refused

    rows = api.known(PATH, source, limit=PART)
    if destination:
        rows = [row for row in rows if row["destination"] == destination.strip().lower()]
    if not rows:
        value = f"{source} to {destination}" if destination else source
        fix = ".venv/bin/mailctl alias list shows what there is"
        raise Refused(Problem("source", "there is no such alias", fix, value=value))
    return rows


def line(row: dict[str, Any], done: str = "") -> str:
    """One destination."""
    return f"{row['source']:40} to {row['destination']}  {done or state(row)}"


def finish(context: Context, rows: list[dict[str, Any]], done: str = "") -> None:
    """Say what is there or was done, and print the rows as JSON."""
    for row in rows:
        context.out.plain(line(row, done))
    context.finish({"ok": True, "aliases": rows})


@account_command(app, "list")
def show_all(context: Context, api: Api, search: SearchOption = "") -> None:
    """List the aliases, a line for each destination."""
    show_rows(context, "alias", api.rows(PATH, q=search), line)


@account_command(app)
def show(context: Context, api: Api, source: SourceArgument) -> None:
    """Show where one alias leads."""
    finish(context, find(api, source, None))


@account_command(app)
def add(
    context: Context,
    api: Api,
    source: SourceArgument,
    destinations: Annotated[list[str], typer.Argument(metavar="DESTINATION…", help="Where its mail goes.")],
    may_send: Annotated[bool, typer.Option("--may-send/--no-may-send", help=MAY_SEND)] = True,
    if_missing: MissingOption = False,
) -> None:
    """Add an alias, or more destinations to one."""
    there = {row["destination"] for row in api.known(PATH, source, limit=PART)} if if_missing else set()
    missing = [each for each in destinations if each.strip().lower() not in there]
    body = {"source": source, "destinations": missing, "may_send": may_send}
    finish(
        context,
        api.call("POST", PATH, body) if missing else find(api, source, None),
        "added" if missing else "",
    )


@account_command(app, "set")
def change(
    context: Context,
    api: Api,
    source: SourceArgument,
    may_send: Annotated[bool, typer.Option("--may-send/--no-may-send", help=MAY_SEND)],
    destination: DestinationArgument = None,
) -> None:
    """Let the destinations of an alias, or one of them, send as the alias, or not."""
    rows, body = find(api, source, destination), {"may_send": may_send}
    finish(context, [api.call("PATCH", f"{PATH}/{row['id']}", body) for row in rows], "changed")


def switch(context: Context, api: Api, source: str, destination: str | None, verb: str) -> None:
    """Enable or disable an alias, or one destination of it."""
    rows = find(api, source, destination)
    finish(context, [api.call("POST", f"{PATH}/{row['id']}/{verb}") for row in rows])


@account_command(app)
def enable(
    context: Context, api: Api, source: SourceArgument, destination: DestinationArgument = None
) -> None:
    """Forward again."""
    switch(context, api, source, destination, "enable")


@account_command(app)
def disable(
    context: Context, api: Api, source: SourceArgument, destination: DestinationArgument = None
) -> None:
    """Forward no more; the address is refused as unknown if no destination is left."""
    switch(context, api, source, destination, "disable")


@account_command(app)
def delete(
    context: Context,
    api: Api,
    source: SourceArgument,
    destination: DestinationArgument = None,
    yes: YesOption = False,
) -> None:
    """Delete an alias, or one destination of it."""
    rows = find(api, source, destination)
    agree(context, yes, "delete", f"{source} to {', '.join(row['destination'] for row in rows)}")
    for row in rows:
        api.call("DELETE", f"{PATH}/{row['id']}")
    finish(context, rows, "deleted")
