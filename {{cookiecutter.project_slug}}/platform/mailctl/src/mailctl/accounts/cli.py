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
    account_command,
    agree,
    given_password,
    many,
    show_rows,
    state,
    tell_password,
)
from mailctl.core.context import Context, group

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


@account_command(app, "list")
def show_all(
    context: Context,
    api: Api,
    search: SearchOption = "",
    deleted: Annotated[bool, typer.Option("--deleted", help="Those that can be restored.")] = False,
    domain: Annotated[str, typer.Option("--domain", help="Only those of this domain.")] = "",
) -> None:
    """List the users."""
    rows = api.rows(PATH, q=search, deleted=str(deleted).lower(), domain=domain)
    show_rows(context, "user", rows, line)


@account_command(app)
def show(context: Context, api: Api, email: EmailArgument) -> None:
    """Show one user."""
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


@account_command(app)
def add(
    context: Context,
    api: Api,
    email: EmailArgument,
    name: Annotated[str, typer.Option("--name", help=NAME)] = "",
    quota: Annotated[str, typer.Option("--quota", help=f"{QUOTA} Default: the domain's.")] = "",
    password_stdin: StdinOption = False,
    if_missing: MissingOption = False,
) -> None:
    """Add a user; a generated password is shown, this once."""
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


@account_command(app, "set")
def change(
    context: Context,
    api: Api,
    email: EmailArgument,
    name: Annotated[str | None, typer.Option("--name", help=NAME)] = None,
    quota: Annotated[str | None, typer.Option("--quota", help=QUOTA)] = None,
) -> None:
    """Change a user's name or quota."""
    wanted = {"display_name": name, "quota": quota}
    body = {field: value for field, value in wanted.items() if value is not None}
    finish(context, api.call("PATCH", f"{PATH}/{find(api, email)['id']}", body), "changed")


@account_command(app)
def password(
    context: Context,
    api: Api,
    email: EmailArgument,
    password_stdin: StdinOption = False,
) -> None:
    """Set a user's password; the old one and every open session end."""
    body = {"password": given_password(password_stdin)}
    made = api.call("POST", f"{PATH}/{find(api, email)['id']}/password", body)
    tell_password(context, made["password"])
    finish(context, made["mailbox"], "has a new password", password=made["password"])


@account_command(app)
def enable(context: Context, api: Api, email: EmailArgument) -> None:
    """Let a user receive and log in again."""
    finish(context, api.call("POST", f"{PATH}/{find(api, email)['id']}/enable"), "enabled")


@account_command(app)
def disable(context: Context, api: Api, email: EmailArgument) -> None:
    """Refuse a user's mail and log-ins; the mail that is there stays."""
    finish(context, api.call("POST", f"{PATH}/{find(api, email)['id']}/disable"), "disabled")


@account_command(app)
def delete(
    context: Context,
    api: Api,
    email: EmailArgument,
    yes: YesOption = False,
) -> None:
    """Delete a user, who can be restored for 30 days."""
    row = find(api, email)
    agree(context, yes, "delete", row["email"])
    api.call("DELETE", f"{PATH}/{row['id']}")
    finish(context, row, "deleted; for 30 days it can be restored")


@account_command(app)
def restore(context: Context, api: Api, email: EmailArgument) -> None:
    """Restore a deleted user, with the mail."""
    finish(context, api.call("POST", f"{PATH}/{find(api, email, True)['id']}/restore"), "restored")


@account_command(app)
def erase(
    context: Context,
    api: Api,
    email: EmailArgument,
    yes: YesOption = False,
) -> None:
    """Delete a deleted user for good: the address is free, the mail on the disk stays."""
    row = find(api, email, True)
    agree(context, yes, "erase", row["email"])
    api.call("POST", f"{PATH}/{row['id']}/erase")
    finish(context, row, "deleted for good")


@account_command(app, "import")
def import_file(
    context: Context,
    api: Api,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="CSV with the columns that the export has.")],
    yes: YesOption = False,
) -> None:
    """Add users and aliases from a file, all or none; first it is tried, then you are asked."""
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


@account_command(app, "export")
def export_file(
    context: Context,
    api: Api,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Where to write it; it must not exist.")],
) -> None:
    """Write users and aliases to a CSV file that can be imported elsewhere; passwords cannot be read."""
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
