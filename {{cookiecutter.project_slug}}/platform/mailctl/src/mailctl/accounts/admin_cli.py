"""`mailctl admin`: who may administer, the first owner of a server as well."""

from typing import Annotated, Any

import typer

from mailctl.accounts.api import (
    Api,
    SearchOption,
    YesOption,
    accounts,
    agree,
    given_password,
    show_rows,
    state,
    tell_password,
)
from mailctl.core.context import Context, JsonOption, RepoOption, group
from mailctl.core.stack import LocalOption

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


@app.command("list")
def show_all(
    search: SearchOption = "",
    local: LocalOption = False,
    repo: RepoOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the admins."""
    with accounts(local, repo, as_json) as (context, api):
        show_rows(context, "admin", api.rows(PATH, q=search), line)


@app.command()
def show(
    email: EmailArgument, local: LocalOption = False, repo: RepoOption = None, as_json: JsonOption = False
) -> None:
    """Show one admin."""
    with accounts(local, repo, as_json) as (context, api):
        row = api.one(PATH, "email", email)
        context.out.plain(line(row))
        context.finish({"ok": True, "admin": row})


@app.command()
def add(
    email: EmailArgument,
    domain: DomainsOption = None,
    password_stdin: StdinOption = False,
    local: LocalOption = False,
    repo: RepoOption = None,
    as_json: JsonOption = False,
) -> None:
    """Add an owner, who may do everything, or an admin of domains; a generated password is shown, once."""
    with accounts(local, repo, as_json) as (context, api):
        body = {"email": email, "password": given_password(password_stdin), **rights(domain)}
        made = api.call("POST", PATH, body)
        tell_password(context, made["password"])
        finish(context, made["admin"], "added", email=made["admin"]["email"], password=made["password"])


@app.command("set")
def change(
    email: EmailArgument,
    domain: DomainsOption = None,
    owner: Annotated[bool, typer.Option("--owner", help="Everything.")] = False,
    local: LocalOption = False,
    repo: RepoOption = None,
    as_json: JsonOption = False,
) -> None:
    """Change what an admin administers, which ends their sessions: --domain for each, or --owner."""
    from mailctl.core.errors import Misuse, Problem

    with accounts(local, repo, as_json) as (context, api):
        if owner is bool(domain):
            wrong = "either everything or some domains" if owner else "nothing to change"
            raise Misuse(Problem("--domain", wrong, "use --owner, or --domain once for each domain"))
        finish(context, api.call("PATCH", find(api, email), rights(domain)), "changed")


@app.command()
def enable(
    email: EmailArgument, local: LocalOption = False, repo: RepoOption = None, as_json: JsonOption = False
) -> None:
    """Let an admin log in again."""
    with accounts(local, repo, as_json) as (context, api):
        finish(context, api.call("POST", f"{find(api, email)}/enable"), "enabled")


@app.command()
def disable(
    email: EmailArgument, local: LocalOption = False, repo: RepoOption = None, as_json: JsonOption = False
) -> None:
    """Refuse an admin's log-ins; their sessions and tokens stop working."""
    with accounts(local, repo, as_json) as (context, api):
        finish(context, api.call("POST", f"{find(api, email)}/disable"), "disabled")


@app.command()
def reset(
    email: EmailArgument,
    password_stdin: StdinOption = False,
    local: LocalOption = False,
    repo: RepoOption = None,
    as_json: JsonOption = False,
) -> None:
    """Set a new password, enable the admin, turn the second factor off; sessions and tokens end."""
    with accounts(local, repo, as_json) as (context, api):
        made = api.call("POST", f"{find(api, email)}/reset", {"password": given_password(password_stdin)})
        tell_password(context, made["password"])
        finish(context, made["admin"], "has a new password", password=made["password"])


@app.command()
def delete(
    email: EmailArgument,
    yes: YesOption = False,
    local: LocalOption = False,
    repo: RepoOption = None,
    as_json: JsonOption = False,
) -> None:
    """Delete an admin; the last owner stays."""
    with accounts(local, repo, as_json) as (context, api):
        row = api.one(PATH, "email", email)
        agree(context, yes, "delete", row["email"])
        api.call("DELETE", f"{PATH}/{row['id']}")
        finish(context, row, "deleted")
