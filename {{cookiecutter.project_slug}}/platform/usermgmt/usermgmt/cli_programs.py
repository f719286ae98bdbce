"""What programs hand over to the database: accounts that must be there, and folders that may go."""

from __future__ import annotations

import json
import sys
from functools import cache
from typing import Any

import click
from sqlalchemy.orm import Session

from usermgmt.addresses import parse_alias_source, parse_domain, parse_own_address
from usermgmt.cli_database import transaction
from usermgmt.database import lock_directory
from usermgmt.passwords import Hasher
from usermgmt.services import aliases, directory, domains, mailboxes, removal
from usermgmt.services.attacks import attacked
from usermgmt.services.audit import COMMAND_LINE
from usermgmt.services.host_news import keep


@cache
def hasher() -> Hasher:
    """Made when it is first needed: it takes a quarter of a second."""
    return Hasher()


def ensure_domain(session: Session, wanted: dict[str, str]) -> str:
    """Add a domain if it is missing; its name if it was."""
    if directory.find_domain(session, parse_domain(wanted["name"])) is not None:
        return ""
    return domains.add_domain(session, COMMAND_LINE, wanted["name"]).name


def ensure_mailbox(session: Session, wanted: dict[str, str]) -> str:
    """Add a mailbox if it is missing; its address if it was."""
    if directory.mailbox_exists(session, parse_own_address(wanted["email"], "email")):
        return ""
    about = wanted["email"], wanted["password"], wanted.get("quota", ""), wanted.get("display_name", "")
    return mailboxes.add_mailbox(session, COMMAND_LINE, hasher(), *about).email


def ensure_alias(session: Session, wanted: dict[str, str]) -> str:
    """Add a destination to an alias if it is missing; the alias if it was."""
    source, destination = parse_alias_source(wanted["source"]), wanted["destination"]
    if destination.strip().lower() in directory.destinations_of(session, source):
        return ""
    return aliases.add_alias(session, COMMAND_LINE, source, destination)[0].source


@click.command()
def ensure() -> None:
    """Add what is missing of the domains, mailboxes and aliases on standard input (JSON): all or nothing.

    Canaries and the local trial are made so. What is there stays as it is; what was added is printed.
    """
    kinds = {"domains": ensure_domain, "mailboxes": ensure_mailbox, "aliases": ensure_alias}
    try:
        wanted: dict[str, list[dict[str, Any]]] = json.load(sys.stdin)
        with transaction() as session:
            added = {
                kind: [name for each in wanted.get(kind, []) if (name := add(session, each))]
                for kind, add in kinds.items()
            }
    except (ValueError, KeyError, AttributeError, TypeError) as error:
        said = f"standard input: {type(error).__name__}: {error}; send domains, mailboxes, aliases as JSON"
        raise click.ClickException(said) from error
    click.echo(json.dumps(added))


@click.command()
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


@click.command()
def host_news() -> None:
    """Keep the report on standard input, a JSON document of `mailctl monitor`, for the overview.

    Prints the mailboxes under attack as JSON, which the monitor makes known.
    """
    with transaction() as session:
        keep(session, sys.stdin.read())
        click.echo(json.dumps([attack._asdict() for attack in attacked(session)]))
