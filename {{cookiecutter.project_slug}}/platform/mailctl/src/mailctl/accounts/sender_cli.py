"""`mailctl sender`: whose mail is allowed or blocked, for the server, a domain or a person."""

from typing import Annotated, Any

import typer

from mailctl.accounts.api import PART, Api, SearchOption, account_command, show_rows
from mailctl.core.context import Context, group

app = group("Allowed and blocked senders, of the server, a domain or a person.")
SenderArgument = Annotated[
    str, typer.Argument(metavar="SENDER", help="An address, a domain, or *.domain with all below it.")
]
ForOption = Annotated[
    str, typer.Option("--for", help="A domain or a mailbox of this server; default: the whole server.")
]
NoteOption = Annotated[str, typer.Option("--note", help="Why.")]
PATH = "/senders"


def line(row: dict[str, Any], done: str = "") -> str:
    """An entry, or what was done to it."""
    whose = row["applies_to"] or "the whole server"
    return f"{row['sender']:40} {done or row['kind']}  for {whose}  {row['note']}".rstrip()


def finish(context: Context, row: dict[str, Any], done: str = "") -> None:
    """Say what is there now or was removed, and print it as JSON."""
    context.out.plain(line(row, done))
    context.finish({"ok": True, "senders": [row]})


def find(api: Api, sender: str, applies_to: str) -> dict[str, Any]:
    """The entry of one list. Raises Refused."""
    from mailctl.core.errors import Problem, Refused

    for row in api.known(PATH, sender, limit=PART):
        if row["applies_to"] == applies_to.strip().lower():
            return row
    fix = ".venv/bin/mailctl sender list shows what there is; --for names a domain's or a person's list"
    raise Refused(Problem("sender", "there is no such sender in this list", fix, value=sender))


@account_command(app, "list")
def show_all(context: Context, api: Api, search: SearchOption = "") -> None:
    """List the senders that are allowed or blocked."""
    show_rows(context, "sender", api.rows(PATH, q=search), line)


def keep(context: Context, api: Api, kind: str, sender: str, applies_to: str, note: str) -> None:
    """Put a sender into a list, or change what it says there."""
    body = {"sender": sender, "kind": kind, "applies_to": applies_to, "note": note}
    finish(context, api.call("POST", PATH, body))


@account_command(app)
def allow(
    context: Context, api: Api, sender: SenderArgument, applies_to: ForOption = "", note: NoteOption = ""
) -> None:
    """Neither refuse nor junk a sender's mail as spam, if it proves its sender."""
    keep(context, api, "allow", sender, applies_to, note)


@account_command(app)
def block(
    context: Context, api: Api, sender: SenderArgument, applies_to: ForOption = "", note: NoteOption = ""
) -> None:
    """Refuse a sender's mail; for a person, move it to Junk."""
    keep(context, api, "block", sender, applies_to, note)


@account_command(app)
def remove(
    context: Context,
    api: Api,
    sender: SenderArgument,
    applies_to: ForOption = "",
) -> None:
    """Remove a sender from a list."""
    row = find(api, sender, applies_to)
    api.call("DELETE", f"{PATH}/{row['id']}")
    finish(context, row, "removed")
