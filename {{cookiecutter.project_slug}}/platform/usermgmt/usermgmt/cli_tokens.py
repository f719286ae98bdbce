"""Commands about the tokens of programs for the JSON API."""

from __future__ import annotations

import click
from sqlalchemy.orm import Session

from usermgmt.addresses import parse_address
from usermgmt.cli_database import transaction
from usermgmt.models import Admin
from usermgmt.permissions import SCOPES
from usermgmt.problems import Missing, Problem
from usermgmt.services import tokens
from usermgmt.services.admins import find_admin
from usermgmt.services.audit import COMMAND_LINE


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
