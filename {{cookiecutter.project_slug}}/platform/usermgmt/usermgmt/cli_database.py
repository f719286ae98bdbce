"""The database of the command line, whose refusals become messages."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import click
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from usermgmt.database import Database
from usermgmt.mail.sessions import end_sessions
from usermgmt.problems import Refused
from usermgmt.services.mail_rules import follow_aliases
from usermgmt.settings import SettingsError, database_url, dovecot


def open_database() -> Database:
    """The database of the environment; a test may replace it."""
    database = Database(database_url(os.environ))
    end_sessions(database.sessions, dovecot(os.environ))
    follow_aliases(database.sessions)
    return database


@contextmanager
def transaction() -> Iterator[Session]:
    """A transaction whose refusal becomes a message and exit status 1."""
    try:
        with open_database().transaction() as session:
            yield session
    except Refused as refusal:
        raise click.ClickException(str(refusal)) from refusal
    except SettingsError as error:
        raise click.ClickException(str(error)) from error
    except DBAPIError as error:
        raise click.ClickException(f"the database refused: {error.orig}") from error
