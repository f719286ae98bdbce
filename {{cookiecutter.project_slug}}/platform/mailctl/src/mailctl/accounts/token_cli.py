"""`mailctl token`: with what programs call the JSON API of usermgmt."""

from typing import Annotated, Any

import typer

from mailctl.accounts.api import SearchOption, YesOption, accounts, agree, show_rows
from mailctl.core.context import JsonOption, RepoOption, group
from mailctl.core.stack import LocalOption

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


@app.command("list")
def show_all(
    search: SearchOption = "",
    local: LocalOption = False,
    repo: RepoOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the tokens, each with its number."""
    with accounts(local, repo, as_json) as (context, api):
        show_rows(context, "token", api.rows(PATH, q=search), line)


@app.command()
def create(
    name: Annotated[str, typer.Argument(metavar="NAME", help="What it is for.")],
    admin: Annotated[
        str, typer.Option("--admin", help="Whose it is: it may do no more than they, and ends with them.")
    ],
    scope: Annotated[list[str], typer.Option("--scope", help=SCOPES)],
    domain: Annotated[str, typer.Option("--domain", help="Only within this domain.")] = "",
    days: Annotated[str, typer.Option("--days", help="How long it is valid; default: until revoked.")] = "",
    local: LocalOption = False,
    repo: RepoOption = None,
    as_json: JsonOption = False,
) -> None:
    """Create a token, which is shown this once."""
    with accounts(local, repo, as_json) as (context, api):
        body = {"name": name, "admin": admin, "scopes": scope, "domain": domain, "days": days}
        made = api.call("POST", PATH, body)
        context.out.show(f"{made['token']['name']}: created.")
        context.out.row("token", made["secret"])
        context.out.show("It is shown only this once. Give it to the program now.")
        context.finish({"ok": True, **made})


@app.command()
def revoke(
    number: Annotated[int, typer.Argument(metavar="NUMBER", help="Its number in the list.", min=1)],
    yes: YesOption = False,
    local: LocalOption = False,
    repo: RepoOption = None,
    as_json: JsonOption = False,
) -> None:
    """End a token at once."""
    with accounts(local, repo, as_json) as (context, api):
        row = api.call("GET", f"{PATH}/{number}")
        agree(context, yes, "revoke", f"{row['name']} of {row['admin']}")
        api.call("DELETE", f"{PATH}/{number}")
        context.out.show(f"{row['name']}: revoked.")
        context.finish({"ok": True, "token": row})
