"""Commands about the JSON API: tokens of programs, and calls without a token from inside the container."""

from __future__ import annotations

import json
import sys
from typing import Any

import click
from flask import Flask
from sqlalchemy.orm import Session

from usermgmt.addresses import parse_address
from usermgmt.cli_database import transaction
from usermgmt.models import Admin
from usermgmt.permissions import SCOPES
from usermgmt.problems import Missing, Problem
from usermgmt.services import tokens
from usermgmt.services.admins import find_admin
from usermgmt.services.audit import COMMAND_LINE


def application() -> Flask:
    """The application of the environment; a test may replace it."""
    from usermgmt.app import create_app
    from usermgmt.settings import Settings, SettingsError

    try:
        return create_app(Settings.from_environment())
    except SettingsError as error:
        raise click.ClickException(str(error)) from error


@click.command()
@click.argument("method", type=click.Choice(("GET", "POST", "PUT", "PATCH", "DELETE")))
@click.argument("path")
@click.option("--body-stdin", is_flag=True, help="Read the body from standard input.")
@click.option("--type", "mimetype", default="application/json", show_default=True, help="What the body is.")
@click.option("--all", "everything", is_flag=True, help="Go on to the end of a list, a line for each part.")
def api(method: str, path: str, body_stdin: bool, mimetype: str, everything: bool) -> None:
    """Call the JSON API at PATH, such as /domains, and print status and body as one line of JSON.

    Whoever may run this may do everything, so it takes no token. Exit status 0: there was an answer.
    """
    from usermgmt.api.access import INSIDE

    client = application().test_client(use_cookies=False)
    sent: dict[str, Any] = {"data": sys.stdin.buffer.read(), "content_type": mimetype} if body_stdin else {}
    wanted: str | None = f"/api/v1{path}"
    while wanted:
        answer = client.open(
            wanted, method=method, base_url="http://127.0.0.1", environ_overrides={INSIDE: True}, **sent
        )
        document = answer.get_json() if answer.is_json and answer.data else answer.text
        # Whoever reads shows the first rows while the next ones are looked for.
        click.echo(json.dumps({"status": answer.status_code, "body": document}))
        wanted = document.get("next") if everything and isinstance(document, dict) else None


def admin_of(session: Session, email: str) -> Admin:
    """The admin with this address; raises Missing."""
    found = find_admin(session, parse_address(email, "admin"))
    if found is None:
        raise Missing(Problem("admin", email, "There is no such admin.", "Use `admin add` to create one."))
    return found


@click.group()
def token() -> None:
    """Tokens with which programs call the JSON API."""


@token.command("add")
@click.argument("name")
@click.option(
    "--admin", "email", required=True, help="Whose it is; it does no more than they may, and ends with them."
)
@click.option("--scope", "scopes", multiple=True, required=True, help=f"Again for each: {', '.join(SCOPES)}.")
@click.option("--domain", default="", help="Only within this domain.")
@click.option("--days", default="", help="How long it is valid; without this, until it is revoked.")
def token_add(name: str, email: str, scopes: tuple[str, ...], domain: str, days: str) -> None:
    """Make a token called NAME and print it, this once."""
    with transaction() as session:
        made = tokens.add_token(session, COMMAND_LINE, admin_of(session, email), name, scopes, domain, days)
    click.echo(made)


@token.command("list")
def token_list() -> None:
    """Every token with its number, and when it was last used."""
    with transaction() as session:
        for row, email, domain in tokens.list_tokens(session):
            used = f"last used {row.last_used_at:%Y-%m-%d}" if row.last_used_at else "never used"
            end = f"until {row.expires_at:%Y-%m-%d}" if row.expires_at else "no end"
            click.echo(
                f"{row.id}  {row.name}  {email}  {domain or 'all domains'}  {row.scopes}  {end}  {used}"
            )


@token.command("revoke")
@click.argument("number", type=int)
def token_revoke(number: int) -> None:
    """End the token with this NUMBER of the list."""
    with transaction() as session:
        name = tokens.revoke_token(session, COMMAND_LINE, number)
    click.echo(f"token {name} revoked")
