"""`mailctl token`: with what programs call the JSON API of usermgmt."""

from typing import Annotated, Any

import typer

from mailctl.accounts.api import Api, SearchOption, YesOption, account_command, agree, show_rows
from mailctl.core.context import Context, group

app = group("Tokens with which programs call the JSON API of accounts.")
PATH = "/tokens"
SCOPES = (
    "What it may do, again for each: domain, mailbox, alias, mail or sender with :read or :write, audit:read,"
    " overview:read, report:read."
)


def line(row: dict[str, Any]) -> str:
    """A token in a list, its number first: that is how it is revoked."""
    end = f"until {row['expires_at'][:10]}" if row["expires_at"] else "no end"
    used = f"last used {row['last_used_at'][:10]}" if row["last_used_at"] else "never used"
    may = f"{row['domain'] or 'all domains'}  {','.join(row['scopes'])}"
    return f"{row['id']:>5}  {row['name']:24} {row['admin']:32} {may}  {end}  {used}"


@account_command(app, "list")
def show_all(context: Context, api: Api, search: SearchOption = "") -> None:
    """List the tokens, each with its number."""
    show_rows(context, "token", api.rows(PATH, q=search), line)


@account_command(app)
def create(
    context: Context,
    api: Api,
    name: Annotated[str, typer.Argument(metavar="NAME", help="What it is for.")],
    admin: Annotated[
        str, typer.Option("--admin", help="Whose it is: it may do no more than they, and ends with them.")
    ],
    scope: Annotated[list[str], typer.Option("--scope", help=SCOPES)],
    domain: Annotated[str, typer.Option("--domain", help="Only within this domain.")] = "",
    days: Annotated[str, typer.Option("--days", help="How long it is valid; default: until revoked.")] = "",
) -> None:
    """Create a token, which is shown this once."""
    body = {"name": name, "admin": admin, "scopes": scope, "domain": domain, "days": days}
    made = api.call("POST", PATH, body)
    context.out.show(f"{made['token']['name']}: created.")
    context.out.row("token", made["secret"])
    context.out.show("It is shown only this once. Give it to the program now.")
    context.finish({"ok": True, **made})


@account_command(app)
def revoke(
    context: Context,
    api: Api,
    number: Annotated[int, typer.Argument(metavar="NUMBER", help="Its number in the list.", min=1)],
    yes: YesOption = False,
) -> None:
    """End a token at once."""
    row = api.call("GET", f"{PATH}/{number}")
    agree(context, yes, "revoke", f"{row['name']} of {row['admin']}")
    api.call("DELETE", f"{PATH}/{number}")
    context.out.show(f"{row['name']}: revoked.")
    context.finish({"ok": True, "token": row})
