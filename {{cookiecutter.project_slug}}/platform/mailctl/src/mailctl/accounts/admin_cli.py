"""`mailctl admin`: who may administer, the first owner of a server as well."""

from typing import Annotated, Any

import typer

from mailctl.accounts.api import (
    Api,
    SearchOption,
    YesOption,
    account_command,
    agree,
    given_password,
    show_rows,
    state,
    tell_password,
)
from mailctl.core.context import Context, group

app = group("Admins: who administers everything, or some domains.")
EmailArgument = Annotated[
    str, typer.Argument(metavar="EMAIL", help="The person's address; any, not only of this server.")
]
DomainsOption = Annotated[
    list[str] | None, typer.Option("--domain", help="Only this domain; again for each. Default: an owner.")
]
StdinOption = Annotated[
    bool, typer.Option("--password-stdin", help="Read the password from standard input, or it is generated.")
]
PATH = "/admins"


def rights(domains: list[str] | None) -> dict[str, Any]:
    """What an admin may do, as the API takes it."""
    return {"role": "domain-admin", "domains": domains} if domains else {"role": "owner", "domains": []}


def line(row: dict[str, Any]) -> str:
    """An admin with what they administer."""
    return f"{row['email']:40} {state(row):8}  {', '.join(row['domains']) or 'everything (owner)'}"


def finish(context: Context, row: dict[str, Any], done: str, **more: object) -> None:
    """Say what was done, and print the admin as JSON."""
    context.out.show(f"{row['email']}: {done}.")
    context.finish({"ok": True, "admin": row, **more})


def find(api: Api, email: str) -> str:
    """The path of the admin with this address. Raises Refused."""
    return f"{PATH}/{api.one(PATH, 'email', email)['id']}"


@account_command(app, "list")
def show_all(context: Context, api: Api, search: SearchOption = "") -> None:
    """List the admins."""
    show_rows(context, "admin", api.rows(PATH, q=search), line)


@account_command(app)
def show(context: Context, api: Api, email: EmailArgument) -> None:
    """Show one admin."""
    row = api.one(PATH, "email", email)
    context.out.plain(line(row))
    context.finish({"ok": True, "admin": row})


@account_command(app)
def add(
    context: Context,
    api: Api,
    email: EmailArgument,
    domain: DomainsOption = None,
    password_stdin: StdinOption = False,
) -> None:
    """Add an owner, who may do everything, or an admin of domains; a generated password is shown, once."""
    body = {"email": email, "password": given_password(password_stdin), **rights(domain)}
    made = api.call("POST", PATH, body)
    tell_password(context, made["password"])
    finish(context, made["admin"], "added", email=made["admin"]["email"], password=made["password"])


@account_command(app, "set")
def change(
    context: Context,
    api: Api,
    email: EmailArgument,
    domain: DomainsOption = None,
    owner: Annotated[bool, typer.Option("--owner", help="Everything.")] = False,
) -> None:
    """Change what an admin administers, which ends their sessions: --domain for each, or --owner."""
    from mailctl.core.errors import Misuse, Problem

    if owner is bool(domain):
        wrong = "either everything or some domains" if owner else "nothing to change"
        raise Misuse(Problem("--domain", wrong, "use --owner, or --domain once for each domain"))
    finish(context, api.call("PATCH", find(api, email), rights(domain)), "changed")


@account_command(app)
def enable(context: Context, api: Api, email: EmailArgument) -> None:
    """Let an admin log in again."""
    finish(context, api.call("POST", f"{find(api, email)}/enable"), "enabled")


@account_command(app)
def disable(context: Context, api: Api, email: EmailArgument) -> None:
    """Refuse an admin's log-ins; their sessions and tokens stop working."""
    finish(context, api.call("POST", f"{find(api, email)}/disable"), "disabled")


@account_command(app)
def reset(
    context: Context,
    api: Api,
    email: EmailArgument,
    password_stdin: StdinOption = False,
) -> None:
    """Set a new password, enable the admin, turn the second factor off; sessions and tokens end."""
    made = api.call("POST", f"{find(api, email)}/reset", {"password": given_password(password_stdin)})
    tell_password(context, made["password"])
    finish(context, made["admin"], "has a new password", password=made["password"])


@account_command(app)
def delete(
    context: Context,
    api: Api,
    email: EmailArgument,
    yes: YesOption = False,
) -> None:
    """Delete an admin; the last owner stays."""
    row = api.one(PATH, "email", email)
    agree(context, yes, "delete", row["email"])
    api.call("DELETE", f"{PATH}/{row['id']}")
    finish(context, row, "deleted")
