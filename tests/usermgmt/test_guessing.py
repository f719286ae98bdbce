"""A mailbox whose password is being guessed from many networks: which are named, and which are not."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from click.testing import CliRunner
from sqlalchemy.orm import Session
from support import Directory
from test_overview import NEWS

from usermgmt import cli, cli_database
from usermgmt.database import Database
from usermgmt.models import LoginAttempt, utc_now
from usermgmt.services.attacks import MANY_ATTEMPTS, MANY_NETWORKS, attacked

ANNA = "anna@example.org"
HOUR = timedelta(hours=1)


def guess(session: Session, networks: int, each: int, account: str = ANNA, **more: object) -> None:
    """So many wrong passwords from each of these networks, in turn of IPv4 and IPv6."""
    for number in range(networks):
        for place in range(each):
            client = f"198.51.{number}.{place}" if number % 2 else f"2001:db8:{number:x}:{place:x}::1"
            row = {"outcome": "wrong", **more}
            session.add(LoginAttempt(account=account, client_address=client, **row))


@pytest.mark.usefixtures("directory")
def test_many_wrong_passwords_from_many_networks_are_an_attack(session: Session) -> None:
    guess(session, MANY_NETWORKS, 3)
    assert attacked(session) == [(ANNA, MANY_ATTEMPTS, MANY_NETWORKS)]


@pytest.mark.usefixtures("directory")
@pytest.mark.parametrize(
    ("networks", "each", "more"),
    [
        (MANY_NETWORKS - 1, 40, {}),
        (MANY_NETWORKS, 2, {}),
        (MANY_NETWORKS, 40, {"account": "nobody@example.org"}),
        (MANY_NETWORKS, 40, {"outcome": "success"}),
        (MANY_NETWORKS, 40, {"at": utc_now() - HOUR - timedelta(minutes=1)}),
    ],
    ids=["one network fewer", "few attempts", "no mailbox", "right passwords", "an hour ago"],
)
def test_what_is_no_attack_is_not_named(
    session: Session, networks: int, each: int, more: dict[str, object]
) -> None:
    guess(session, networks, each, **more)
    assert not attacked(session)


def test_the_monitor_hears_of_it_when_it_hands_over_its_report(
    directory: Directory, session: Session, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    guess(session, 12, 4)
    session.commit()
    monkeypatch.setattr(cli_database, "open_database", lambda: database)
    answer = CliRunner().invoke(cli.cli, ["host-news"], input=json.dumps(NEWS))
    assert json.loads(answer.output) == [{"address": ANNA, "attempts": 48, "networks": 12}]
