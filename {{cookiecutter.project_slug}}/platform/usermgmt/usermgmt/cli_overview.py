"""The command with which the host's monitor reports how the server is."""

from __future__ import annotations

import sys

import click

from usermgmt.cli_database import transaction
from usermgmt.services import host_news


@click.command("host-news")
def host_news_command() -> None:
    """Keep the report on standard input, a JSON document of `mailctl monitor`, for the overview."""
    with transaction() as session:
        host_news.keep(session, sys.stdin.read())
