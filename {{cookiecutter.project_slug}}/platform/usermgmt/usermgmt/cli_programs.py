"""Commands about the JSON API: tokens of programs, and calls without a token from inside the container."""

from __future__ import annotations

import json
import sys

import click
from flask import Flask
from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from usermgmt.addresses import parse_address
from usermgmt.canaries import OWN
from usermgmt.cli_database import transaction
from usermgmt.models import Admin, Mailbox, WebSession
from usermgmt.permissions import SCOPES
from usermgmt.problems import Missing, Problem
from usermgmt.services import tokens, web_sessions
from usermgmt.services.accounts import belongs
from usermgmt.services.admins import find_admin
from usermgmt.services.audit import COMMAND_LINE
from usermgmt.settings import Settings, SettingsError


def environment() -> Settings:
    """The settings of the environment; a test may replace it."""
    try:
        return Settings.from_environment()
    except SettingsError as error:
        raise click.ClickException(str(error)) from error


def application() -> Flask:
    """The application of the environment; a test may replace it."""
    from usermgmt.app import create_app

    return create_app(environment())


@click.command()
@click.argument("method", type=click.Choice(("GET", "POST", "PUT", "PATCH", "DELETE")))
@click.argument("path")
@click.option("--body-stdin", is_flag=True, help="Read the body from standard input.")
@click.option("--type", "mimetype", default="application/json", show_default=True, help="What the body is.")
def api(method: str, path: str, body_stdin: bool, mimetype: str) -> None:
    """Call the JSON API at PATH, such as /domains, and print status and body as one JSON document.

    Whoever may run this may do everything, so it takes no token. Exit status 0: there was an answer.
    """
    from usermgmt.api.access import INSIDE

    data = sys.stdin.buffer.read() if body_stdin else b""
    answer = (
        application()
        .test_client(use_cookies=False)
        .open(
            f"/api/v1{path}",
            method=method,
            data=data,
            content_type=mimetype if body_stdin else None,
            base_url="http://127.0.0.1",
            environ_overrides={INSIDE: True},
        )
    )
    document = answer.get_json() if answer.is_json and answer.data else answer.text
    click.echo(json.dumps({"status": answer.status_code, "body": document}))


@click.command("canary-token", hidden=True)
@click.argument("email")
def canary_token(email: str) -> None:
    """Print a token such as the webmail gets, for a canary of `mailctl deploy`, whose mailbox is nobody's."""
    from usermgmt.services import oidc
    from usermgmt.services.oidc_keys import signing_key

    settings = environment()
    with transaction() as session:
        canaries = select(Mailbox).where(Mailbox.email.like(OWN))
        mailbox = session.scalar(canaries.where(Mailbox.email == parse_address(email, "email")))
        if mailbox is None:
            raise click.ClickException(f"{email} is no canary: people get their tokens by logging in")
        session.execute(delete(WebSession).where(belongs(WebSession, mailbox)))
        row = web_sessions.find(session, web_sessions.begin(session, mailbox, "", "canary"))
        assert row is not None  # noqa: S101 - for the type checker; it has just begun
        key = signing_key(session, settings.session_key)
        click.echo(oidc.access_token(key, settings.issuer, oidc.Opened(row.id, mailbox)))


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
