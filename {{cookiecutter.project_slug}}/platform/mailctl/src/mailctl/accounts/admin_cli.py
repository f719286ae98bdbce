"""`mailctl admin`: who may administer; the first owner of a server as well."""

from typing import Annotated

import typer

from mailctl.accounts.api import accounts, tell_password
from mailctl.core.context import JsonOption, RepoOption, group
from mailctl.core.stack import LocalOption

app = group("Administrators of the accounts: add an owner.")


@app.callback()
def several() -> None:
    """Administrators of the accounts: add an owner."""


@app.command()
def add(
    email: Annotated[
        str, typer.Argument(metavar="EMAIL", help="The person's address; any, not only of this server.")
    ],
    local: LocalOption = False,
    repo: RepoOption = None,
    as_json: JsonOption = False,
) -> None:
    """Add an owner, who may do everything; the generated password is shown, this once."""
    with accounts(local, repo, as_json) as (context, api):
        printed = api.server.inside("usermgmt", ["usermgmt", "admin", "add", email, "--generate"])
        password = printed.strip().splitlines()[-1]
        context.out.show(f"{email}: added as an owner.")
        tell_password(context, password)
        context.finish({"ok": True, "email": email, "password": password})
