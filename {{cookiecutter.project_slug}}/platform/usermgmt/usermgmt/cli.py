"""The same administration on the command line: `docker compose exec usermgmt usermgmt …`.

Exit status: 0 done (or already there with --if-missing), 1 refused or failed, 2 wrong usage.
"""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Callable
from functools import cache

import click
from sqlalchemy import select
from sqlalchemy.orm import Session

from usermgmt.addresses import parse_address, parse_alias_source, parse_destinations, parse_domain
from usermgmt.cli_database import transaction
from usermgmt.cli_programs import api, canary_token, token
from usermgmt.database import lock_directory
from usermgmt.models import Admin, Alias, Domain, Mailbox
from usermgmt.passwords import Hasher, generate_password
from usermgmt.problems import Missing, Problem
from usermgmt.quota import DEFAULT
from usermgmt.services import admins, aliases, directory, domains, mailboxes, removal, roles
from usermgmt.services.audit import COMMAND_LINE

IF_MISSING = click.option(
    "--if-missing", is_flag=True, help="Succeed and change nothing if it is there already."
)
PASSWORD_STDIN = click.option(
    "--password-stdin", is_flag=True, required=True, help="Read the password from standard input."
)


@cache
def hasher() -> Hasher:
    """Made when it is first needed: it takes a quarter of a second."""
    return Hasher()


def read_password() -> str:
    """All of standard input without its last line end: on a command line others could see it."""
    password = sys.stdin.read().removesuffix("\n").removesuffix("\r")
    if not password:
        raise click.ClickException("no password on standard input: pipe it in, without anything else")
    return password


def add(
    what: str, if_missing: bool, exists: Callable[[Session], bool], do: Callable[[Session], object]
) -> None:
    """Add something, or with `if_missing` leave it as it is if it exists."""
    with transaction() as session:
        if if_missing and exists(session):
            click.echo(f"{what} is already there")
            return
        do(session)
    click.echo(f"{what} added")


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def cli() -> None:
    """Administer domains, mailboxes, aliases and admins. Every change takes effect immediately."""
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr)


@cli.group()
def domain() -> None:
    """Domains whose mail this server accepts."""


@domain.command("add")
@click.argument("name")
@IF_MISSING
def domain_add(name: str, if_missing: bool) -> None:
    """Accept mail for NAME."""
    add(
        f"domain {name}",
        if_missing,
        lambda session: directory.find_domain(session, parse_domain(name)) is not None,
        lambda session: domains.add_domain(session, COMMAND_LINE, name),
    )


@cli.group()
def mailbox() -> None:
    """Accounts that receive mail and log in."""


@mailbox.command("add")
@click.argument("email")
@PASSWORD_STDIN
@click.option("--quota", default=DEFAULT, show_default=True, help="A number and a unit: 500M, 2G, 1.5T.")
@click.option("--name", default="", help="The person's name.")
@IF_MISSING
def mailbox_add(email: str, password_stdin: bool, quota: str, name: str, if_missing: bool) -> None:
    """Create the mailbox EMAIL."""
    password = read_password()
    add(
        f"mailbox {email}",
        if_missing,
        lambda session: directory.mailbox_exists(session, parse_address(email, "email")),
        lambda session: mailboxes.add_mailbox(session, COMMAND_LINE, hasher(), email, password, quota, name),
    )


def deleted_mailbox(session: Session, email: str) -> int:
    """The number of the deleted mailbox with this address; raises Missing."""
    found = session.scalar(select(Mailbox).where(Mailbox.email == parse_address(email, "email")))
    if found is None or found.deleted_at is None:
        wrong = "There is no deleted mailbox with this address."
        raise Missing(Problem("email", email, wrong, "One that was deleted for good cannot come back."))
    return found.id


@mailbox.command("restore")
@click.argument("email")
def mailbox_restore(email: str) -> None:
    """Take back that the mailbox EMAIL was deleted, with its mail, within 30 days."""
    with transaction() as session:
        removal.restore_mailbox(session, COMMAND_LINE, deleted_mailbox(session, email))
    click.echo(f"mailbox {email} restored")


@mailbox.command("erase")
@click.argument("email")
def mailbox_erase(email: str) -> None:
    """Delete the deleted mailbox EMAIL for good: its address is free, its mail goes when 30 days are over."""
    with transaction() as session:
        removal.erase_mailbox(session, COMMAND_LINE, deleted_mailbox(session, email))
    click.echo(f"mailbox {email} erased")


@cli.group()
def alias() -> None:
    """Addresses that hand their mail on."""


@alias.command("add")
@click.argument("source")
@click.argument("destination")
@IF_MISSING
def alias_add(source: str, destination: str, if_missing: bool) -> None:
    """Forward mail for SOURCE (or @domain for the rest of it) to DESTINATION (several with commas)."""

    def exists(session: Session) -> bool:
        present = directory.destinations_of(session, parse_alias_source(source))
        return set(parse_destinations(destination)) <= set(present)

    add(
        f"alias {source} -> {destination}",
        if_missing,
        exists,
        lambda session: aliases.add_alias(session, COMMAND_LINE, source, destination),
    )


@cli.group()
def admin() -> None:
    """People who may log in to the administration."""


@admin.command("add")
@click.argument("email")
@click.option("--password-stdin", is_flag=True, help="Read the password from standard input.")
@click.option("--generate", is_flag=True, help="Generate a password and print it, this once.")
@IF_MISSING
def admin_add(email: str, password_stdin: bool, generate: bool, if_missing: bool) -> None:
    """Let EMAIL log in, as an owner."""
    if password_stdin is generate or (generate and if_missing):
        raise click.UsageError("use either --password-stdin or --generate, the latter without --if-missing")
    password = generate_password() if generate else read_password()
    add(
        f"admin {email}",
        if_missing,
        lambda session: admins.find_admin(session, parse_address(email, "email")) is not None,
        lambda session: admins.add_admin(session, COMMAND_LINE, hasher(), email, password),
    )
    if generate:
        click.echo(password)


@admin.command("reset")
@click.argument("email")
@PASSWORD_STDIN
def admin_reset(email: str, password_stdin: bool) -> None:
    """Set a new password for EMAIL and end all sessions of that admin."""
    password = read_password()
    with transaction() as session:
        admins.reset_admin(session, COMMAND_LINE, hasher(), email, password)
    click.echo(f"admin {email} has a new password")


@admin.command("domains")
@click.argument("email")
@click.argument("names", nargs=-1)
def admin_domains(email: str, names: tuple[str, ...]) -> None:
    """Let EMAIL administer the domains NAMES only; without NAMES, everything."""
    with transaction() as session:
        roles.set_domains(session, COMMAND_LINE, email, names)
    click.echo(f"admin {email} administers {', '.join(names) or 'everything'}")


@cli.command()
@click.option("--json", "as_json", is_flag=True, help="For programs.")
def purge(as_json: bool) -> None:
    """Remove accounts deleted over 30 days ago, and name the folders whose mail nobody has any more."""
    with transaction() as session:
        lock_directory(session)
        accounts = removal.purge(session)
        session.flush()
        found = {"accounts": accounts, "homes": removal.homes_to_remove(session)}
    if as_json:
        click.echo(json.dumps(found))
        return
    for kind, names in found.items():
        click.echo(f"{kind}: {len(names)}")
        for name in names:
            click.echo("  " + name)


def everything(session: Session) -> dict[str, list[dict[str, object]]]:
    """All rows as plain data, without any hash."""
    return {
        "domains": [
            {"name": row.name, "active": row.active}
            for row in session.scalars(select(Domain).order_by(Domain.name))
        ],
        "mailboxes": [
            {
                "email": row.email,
                "name": row.display_name,
                "quota_bytes": row.quota_bytes,
                "active": row.active,
            }
            for row in session.scalars(select(Mailbox).order_by(Mailbox.email))
        ],
        "aliases": [
            {"source": row.source, "destination": row.destination, "active": row.active}
            for row in session.scalars(select(Alias).order_by(Alias.source, Alias.destination))
        ],
        "admins": [
            {"email": row.email, "active": row.active}
            for row in session.scalars(select(Admin).order_by(Admin.email))
        ],
    }


@cli.command("list")
@click.option("--json", "as_json", is_flag=True, help="For programs.")
def list_all(as_json: bool) -> None:
    """Everything there is."""
    with transaction() as session:
        found = everything(session)
    if as_json:
        click.echo(json.dumps(found, indent=2))
        return
    for kind, rows in found.items():
        click.echo(f"{kind}: {len(rows)}")
        for row in rows:
            state = "" if row["active"] else "  (disabled)"
            names = [str(row[key]) for key in ("name", "email", "source", "destination") if row.get(key)]
            click.echo("  " + "  ".join(names) + state)


cli.add_command(token)
cli.add_command(api)
cli.add_command(canary_token)


def main() -> None:
    """The console script."""
    cli(prog_name="usermgmt")
