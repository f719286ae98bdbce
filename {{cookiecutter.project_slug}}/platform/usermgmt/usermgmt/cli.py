"""What programs hand over inside the container; people use `mailctl user | domain | alias | admin`.

Exit status: 0 done, 1 refused or failed, 2 wrong usage.
"""

from __future__ import annotations

import importlib
import json
import logging
import sys
from contextlib import closing
from http.client import HTTPException
from typing import Any

import click

from usermgmt.inside import SOCKET, Connection

#: Where each command is; imported when it runs, for the database takes a second to import.
COMMANDS = {
    "api": "cli",
    "canary-token": "cli_canary",
    "destinations": "cli_programs",
    "ensure": "cli_programs",
    "host-news": "cli_programs",
    "identity-keys": "cli_identity",
    "mover": "cli_shards",
    "purge": "cli_programs",
    "shards": "cli_shards",
}


class Commands(click.Group):
    """The commands of the table."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Their names."""
        return sorted(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """One of them, if there is one of that name."""
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"usermgmt.{COMMANDS[cmd_name]}")
        found: click.Command = getattr(module, cmd_name.replace("-", "_"))
        return found


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
def cli() -> None:
    """For programs inside the container. People use mailctl on the host."""
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr)


def connection() -> Connection:
    """To the application that runs; a test may replace it."""
    return Connection(SOCKET)


@click.command()
@click.argument("method", type=click.Choice(("GET", "POST", "PUT", "PATCH", "DELETE")))
@click.argument("path")
@click.option("--body-stdin", is_flag=True, help="Read the body from standard input.")
@click.option("--type", "media_type", default="application/json", show_default=True, help="What the body is.")
@click.option("--all", "everything", is_flag=True, help="Go on to the end of a list, a line for each part.")
def api(method: str, path: str, body_stdin: bool, media_type: str, everything: bool) -> None:
    """Call the JSON API at PATH, such as /domains, and print status and body as one line of JSON.

    Whoever may run this may do everything, so it takes no token. Exit status 0: there was an answer.
    """
    body = sys.stdin.buffer.read() if body_stdin else None
    wanted: str | None = f"/api/v1{path}"
    with closing(connection()) as asked:
        while wanted:
            try:
                answer = asked.ask(method, wanted, body, media_type)
            except (OSError, HTTPException) as error:
                said = f"usermgmt does not answer ({error}): look at its log"
                raise click.ClickException(said) from error
            is_json = answer.media_type.endswith("json") and answer.body
            document: Any = json.loads(answer.body) if is_json else answer.body.decode()
            # Whoever reads shows the first rows while the next ones are looked for.
            click.echo(json.dumps({"status": answer.status, "body": document}))
            wanted = document.get("next") if everything and isinstance(document, dict) else None


def main() -> None:
    """The console script."""
    cli(prog_name="usermgmt")
