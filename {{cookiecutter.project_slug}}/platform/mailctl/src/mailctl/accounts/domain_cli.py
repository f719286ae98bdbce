"""`mailctl domain`: the domains whose mail this server accepts."""

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
    show_rows,
    state,
)
from mailctl.core.context import Context, group

app = group("Domains: add, limit, enable, disable, delete.")
NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="The domain.")]
PATH = "/domains"


def finish(context: Context, row: dict[str, Any], done: str) -> None:
    """Say what was done, and print the domain as JSON."""
    context.out.show(f"{row['name']}: {done}.")
    context.finish({"ok": True, "domain": row})


@account_command(app, "list")
def show_all(context: Context, api: Api, search: SearchOption = "") -> None:
    """List the domains."""
    show_rows(context, "domain", api.rows(PATH, q=search), lambda row: f"{row['name']:40} {state(row)}")


@account_command(app)
def show(context: Context, api: Api, name: NameArgument) -> None:
    """Show one domain with its limits."""
    row = api.one(PATH, "name", name)
    pairs = (
        ("name", row["name"]),
        ("state", state(row)),
        ("default quota, bytes", row["default_quota_bytes"]),
        ("largest quota, bytes", row.get("largest_quota_bytes")),
        ("storage limit, bytes", row.get("storage_bytes")),
        ("mailbox limit", row["most_mailboxes"]),
        ("alias limit", row["most_aliases"]),
    )
    for label, value in pairs:
        context.out.row(label, "-" if value is None else str(value), 22)
    context.finish({"ok": True, "domain": row})


@account_command(app)
def add(
    context: Context,
    api: Api,
    name: NameArgument,
    if_missing: MissingOption = False,
) -> None:
    """Accept mail for a domain."""
    if if_missing and (there := api.known(PATH, name)):
        return finish(context, there[0], THERE)
    finish(context, api.call("POST", PATH, {"name": name}), "added")


@account_command(app, "set")
def change(
    context: Context,
    api: Api,
    name: NameArgument,
    default_quota: Annotated[
        str | None, typer.Option("--default-quota", help="Of new mailboxes: 500M, 2G; empty: the server's.")
    ] = None,
    largest_quota: Annotated[
        str | None,
        typer.Option("--largest-quota", help="That the domain's admins may give: 10G; empty: any."),
    ] = None,
    storage: Annotated[
        str | None, typer.Option("--storage", help="Of all quotas together: 500G; empty: no limit.")
    ] = None,
    most_mailboxes: Annotated[
        int | None, typer.Option("--mailbox-limit", help="-1: no limit.", min=-1)
    ] = None,
    most_aliases: Annotated[int | None, typer.Option("--alias-limit", help="-1: no limit.", min=-1)] = None,
) -> None:
    """Change a domain's limits."""
    wanted = {
        "default_quota": default_quota,
        "largest_quota": largest_quota,
        "storage": storage,
        "most_mailboxes": most_mailboxes,
        "most_aliases": most_aliases,
    }
    body = {
        field: None if value in (-1, "") else value for field, value in wanted.items() if value is not None
    }
    finish(context, api.call("PATCH", f"{PATH}/{api.one(PATH, 'name', name)['id']}", body), "changed")


@account_command(app)
def enable(context: Context, api: Api, name: NameArgument) -> None:
    """Accept a domain's mail again."""
    finish(context, api.call("POST", f"{PATH}/{api.one(PATH, 'name', name)['id']}/enable"), "enabled")


@account_command(app)
def disable(context: Context, api: Api, name: NameArgument) -> None:
    """Refuse a domain's mail, and the log-ins of its users."""
    finish(context, api.call("POST", f"{PATH}/{api.one(PATH, 'name', name)['id']}/disable"), "disabled")


@account_command(app)
def delete(
    context: Context,
    api: Api,
    name: NameArgument,
    yes: YesOption = False,
) -> None:
    """Delete a domain that holds nothing."""
    row = api.one(PATH, "name", name)
    agree(context, yes, "delete", row["name"])
    api.call("DELETE", f"{PATH}/{row['id']}")
    finish(context, row, "deleted")
