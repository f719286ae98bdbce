"""The command with which the host hands in what only it can fetch: an outside provider's public keys."""

from __future__ import annotations

import json
import sys

import click

from usermgmt.cli_database import transaction
from usermgmt.services.identity import keep_keys


@click.command("identity-keys")
@click.argument("issuer")
@click.option("--keys-stdin", is_flag=True, required=True, help="Read the document from standard input.")
def identity_keys(issuer: str, keys_stdin: bool) -> None:
    """Replace the public keys of ISSUER by those of its document (JWKS)."""
    try:
        document = json.load(sys.stdin)
    except ValueError as error:
        raise click.ClickException(f"standard input is no JSON document: {error}") from error
    with transaction() as session:
        count = keep_keys(session, issuer, document)
    click.echo(f"{count} keys of {issuer}")
