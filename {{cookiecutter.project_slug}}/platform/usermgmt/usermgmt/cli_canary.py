"""The command with which the canaries of `mailctl deploy` get a token, such as the webmail's."""

from __future__ import annotations

import click
from sqlalchemy import delete, select

from usermgmt.addresses import parse_address
from usermgmt.canaries import OWN
from usermgmt.cli_database import transaction
from usermgmt.models import Mailbox, WebSession
from usermgmt.services import oidc, web_sessions
from usermgmt.services.accounts import belongs
from usermgmt.services.oidc_keys import signing_key
from usermgmt.settings import Settings, SettingsError


def environment() -> Settings:
    """The settings of the environment; a test may replace it."""
    try:
        return Settings.from_environment()
    except SettingsError as error:
        raise click.ClickException(str(error)) from error


@click.command("canary-token", hidden=True)
@click.argument("email")
def canary_token(email: str) -> None:
    """Print a token such as the webmail gets, for a canary, whose mailbox is nobody's."""
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
