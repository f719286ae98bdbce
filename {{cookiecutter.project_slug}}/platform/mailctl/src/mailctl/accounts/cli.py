"""`mailctl user`: people's mailboxes. Work is imported when a command runs."""

from pathlib import Path
from typing import Annotated, Any

import typer

from mailctl.accounts.api import (
    THERE,
    Api,
    MissingOption,
    SearchOption,
    YesOption,
    accounts,
    agree,
    given_password,
    many,
    show_rows,
    state,
    tell_password,
)
from mailctl.core.context import Context, JsonOption, RepoOption, group
from mailctl.core.stack import LocalOption

app = group("Users: their mailboxes, passwords and quotas.")
EmailArgument = Annotated[str, typer.Argument(metavar="EMAIL", help="The user's address.")]
StdinOption = Annotated[
    bool,
    typer.Option(
        "--password-stdin", help="Read the password from standard input; without it, one is generated."
    ),
]
QUOTA, NAME = "A number and a unit: 500M, 2G, 1.5T.", "The person's name."
PATH = "/mailboxes"


def find(api: Api, email: str, deleted: bool = False) -> dict[str, Any]:
    """The user with this address. Raises Refused."""
    return api.one(PATH, "email", email, **({"deleted": "true"} if deleted else {}))


def finish(context: Context, row: dict[str, Any], done: str, **more: object) -> None:
    """Say what was done, and print the user as JSON."""
    context.out.show(f"{row['email']}: {done}.")
    context.finish({"ok": True, "user": row, **more})


def line(row: dict[str, Any]) -> str:
    """A user in a list."""
    return f"{row['email']:40} {row['quota']:>7}  {state(row):8}  {row['display_name']}".rstrip()


@app.command("list")
def show_all(
    search: SearchOption = "",
    deleted: Annotated[bool, typer.Option("--deleted", help="Those that can be restored.")] = False,
    domain: Annotated[str, typer.Option("--domain", help="Only those of this domain.")] = "",
    local: LocalOption = False,
    repo: RepoOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the users."""
    with accounts(local, repo, as_json) as (context, api):
        rows = api.rows(PATH, q=search, deleted=str(deleted).lower(), domain=domain)
        show_rows(context, "user", rows, line)


@app.command()
def show(
    email: EmailArgument, local: LocalOption = False, repo: RepoOption = None, as_json: JsonOption = False
) -> None:
    """Show one user."""
    with accounts(local, repo, as_json) as (context, api):
        row = find(api, email)
        factor = "on" if row["two_factor"] else "off"
        pairs = (
            ("email", row["email"]),
            ("name", row["display_name"] or "-"),
            ("quota", row["quota"]),
            ("state", state(row)),
            ("2nd factor", factor),
            ("last login", row["last_login_at"] or "-"),
        )
        for label, text in pairs:
            context.out.row(label, text)
        context.finish({"ok": True, "user": row})


@app.command()
def add(
    email: EmailArgument,
    name: Annotated[str, typer.Option("--name", help=NAME)] = "",
    quota: Annotated[str, typer.Option("--quota", help=f"{QUOTA} Default: the domain's.")] = "",
    password_stdin: StdinOption = False,
    if_missing: MissingOption = False,
    local: LocalOption = False,
    repo: RepoOption = None,
    as_json: JsonOption = False,
) -> None:
    """Add a user; a generated password is shown, this once."""
    with accounts(local, repo, as_json) as (context, api):
        if if_missing and (there := api.known(PATH, email)):
            return finish(context, there[0], THERE, password=None)
        body = {
            "email": email,
            "display_name": name,
            "quota": quota,
            "password": given_password(password_stdin),
        }
        made = api.call("POST", PATH, body)
        tell_password(context, made["password"])
        finish(context, made["mailbox"], "added", password=made["password"])


@app.command("set")
def change(
    email: EmailArgument,
    name: Annotated[str | None, typer.Option("--name", help=NAME)] = None,
    quota: Annotated[str | None, typer.Option("--quota", help=QUOTA)] = None,
    local: LocalOption = False,
    repo: RepoOption = None,
    as_json: JsonOption = False,
) -> None:
    """Change a user's name or quota."""
    with accounts(local, repo, as_json) as (context, api):
        wanted = {"display_name": name, "quota": quota}
        body = {field: value for field, value in wanted.items() if value is not None}
        finish(context, api.call("PATCH", f"{PATH}/{find(api, email)['id']}", body), "changed")


@app.command()
def password(
    email: EmailArgument,
    password_stdin: StdinOption = False,
    local: LocalOption = False,
    repo: RepoOption = None,
    as_json: JsonOption = False,
) -> None:
    """Set a user's password; the old one and every open session end."""
    with accounts(local, repo, as_json) as (context, api):
        body = {"password": given_password(password_stdin)}
        made = api.call("POST", f"{PATH}/{find(api, email)['id']}/password", body)
        tell_password(context, made["password"])
        finish(context, made["mailbox"], "has a new password", password=made["password"])


@app.command()
def enable(
    email: EmailArgument, local: LocalOption = False, repo: RepoOption = None, as_json: JsonOption = False
) -> None:
    """Let a user receive and log in again."""
    with accounts(local, repo, as_json) as (context, api):
        finish(context, api.call("POST", f"{PATH}/{find(api, email)['id']}/enable"), "enabled")


@app.command()
def disable(
    email: EmailArgument, local: LocalOption = False, repo: RepoOption = None, as_json: JsonOption = False
) -> None:
    """Refuse a user's mail and log-ins; the mail that is there stays."""
    with accounts(local, repo, as_json) as (context, api):
        finish(context, api.call("POST", f"{PATH}/{find(api, email)['id']}/disable"), "disabled")


@app.command()
def delete(
    email: EmailArgument,
    yes: YesOption = False,
    local: LocalOption = False,
    repo: RepoOption = None,
    as_json: JsonOption = False,
) -> None:
    """Delete a user, who can be restored for 30 days."""
    with accounts(local, repo, as_json) as (context, api):
        row = find(api, email)
        agree(context, yes, "delete", row["email"])
        api.call("DELETE", f"{PATH}/{row['id']}")
        finish(context, row, "deleted; for 30 days it can be restored")


@app.command()
def restore(
    email: EmailArgument, local: LocalOption = False, repo: RepoOption = None, as_json: JsonOption = False
) -> None:
    """Restore a deleted user, with the mail."""
    with accounts(local, repo, as_json) as (context, api):
        finish(context, api.call("POST", f"{PATH}/{find(api, email, True)['id']}/restore"), "restored")


@app.command()
def erase(
    email: EmailArgument,
    yes: YesOption = False,
    local: LocalOption = False,
    repo: RepoOption = None,
    as_json: JsonOption = False,
) -> None:
    """Delete a deleted user for good: the address is free, the mail on the disk stays."""
    with accounts(local, repo, as_json) as (context, api):
        row = find(api, email, True)
        agree(context, yes, "erase", row["email"])
        api.call("POST", f"{PATH}/{row['id']}/erase")
        finish(context, row, "deleted for good")


@app.command("import")
def import_file(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="CSV with the columns that the export has.")],
    yes: YesOption = False,
    local: LocalOption = False,
    repo: RepoOption = None,
    as_json: JsonOption = False,
) -> None:
    """Add users and aliases from a file, all or none; first it is tried, then you are asked."""
    with accounts(local, repo, as_json) as (context, api):
        text = read_csv(file)
        tried = api.call("POST", "/import", text=text)
        what = f"{many(tried['mailboxes'], 'user')} and {many(tried['aliases'], 'alias')}"
        agree(context, yes, "add", what)
        done = api.call("POST", "/import", text=text, dry_run="false")
        for row in done["passwords"]:
            context.out.row(row["email"], row["password"], 40)
        if done["passwords"]:
            context.out.show("The passwords are shown only this once. Pass them on now.")
        context.out.show(f"{what} added.")
        counts = {"users": done["mailboxes"], "aliases": done["aliases"]}
        context.finish({"ok": True, **counts, "passwords": done["passwords"]})


@app.command("export")
def export_file(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Where to write it; it must not exist.")],
    local: LocalOption = False,
    repo: RepoOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write users and aliases to a CSV file that can be imported elsewhere; passwords cannot be read."""
    with accounts(local, repo, as_json) as (context, api):
        text = api.call("GET", "/export")
        with file.open("x", encoding="utf-8", newline="") as written:
            written.write(text)
        rows = text.count("\n") - 1
        context.out.show(f"{many(rows, 'row')} written to {file}.")
        context.finish({"ok": True, "file": str(file), "rows": rows})


def read_csv(file: Path) -> str:
    """The file's text. Raises Refused."""
    from mailctl.core.errors import Problem, Refused

    try:
        return file.read_text("utf-8-sig")
    except UnicodeDecodeError:
        raise Refused(
            Problem("FILE", "is not text in UTF-8", "save it as CSV UTF-8", value=str(file))
        ) from None
