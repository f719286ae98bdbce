"""What programs hand over inside the container: the same rules, the same log, and statuses to trust."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from click.testing import CliRunner, Result
from conftest import actions
from sqlalchemy import select

from usermgmt import cli, cli_database, cli_programs
from usermgmt.database import Database
from usermgmt.models import AuditEntry, Mailbox, utc_now
from usermgmt.passwords import Hasher
from usermgmt.services import removal
from usermgmt.services.audit import COMMAND_LINE

PASSWORD = "correct horse battery"
ANNA = {"email": "anna@example.org", "password": PASSWORD, "quota": "2G", "display_name": "Anna"}
WANTED: dict[str, list[dict[str, Any]]] = {
    "domains": [{"name": "example.org"}],
    "mailboxes": [ANNA],
    "aliases": [{"source": "@example.org", "destination": "anna@example.org"}],
}
ADDED = {"domains": ["example.org"], "mailboxes": ["anna@example.org"], "aliases": ["@example.org"]}


class Terminal:
    """Runs commands against a database."""

    def __init__(self, database: Database) -> None:
        self.database = database

    def __call__(self, *arguments: str, stdin: str = "") -> Result:
        return CliRunner().invoke(cli.cli, arguments, input=stdin)

    def ensure(self, **wanted: Any) -> Result:
        """Add what is missing."""
        return self("ensure", stdin=json.dumps(wanted))

    def log(self) -> list[str]:
        """The audit log in order."""
        with self.database.transaction() as session:
            return actions(session)


@pytest.fixture
def run(database: Database, hasher: Hasher, monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """The command line on a database in memory."""
    monkeypatch.setattr(cli_database, "open_database", lambda: database)
    monkeypatch.setattr(cli_programs, "hasher", lambda: hasher)
    return Terminal(database)


def test_what_is_missing_is_added_and_what_is_there_stays(run: Terminal, hasher: Hasher) -> None:
    assert json.loads(run.ensure(**WANTED).output) == ADDED
    assert run.log() == ["domain.add", "mailbox.add", "alias.add"]
    again = run.ensure(**WANTED, domains_of_others=[])
    assert json.loads(again.output) == {"domains": [], "mailboxes": [], "aliases": []}
    with run.database.transaction() as session:
        mailbox = session.scalars(select(Mailbox)).one()
        actors = set(session.scalars(select(AuditEntry.actor)))
    assert hasher.matches(PASSWORD, mailbox.password_hash) and run.log()[3:] == []
    assert (mailbox.quota_bytes, mailbox.display_name, actors) == (2 * 1024**3, "Anna", {"command-line"})


def test_one_that_is_wrong_stops_all_and_names_field_value_and_advice(run: Terminal) -> None:
    result = run.ensure(
        domains=WANTED["domains"], mailboxes=[ANNA | {"quota": "lots", "password": "sh0rt-pass"}]
    )
    assert result.exit_code == 1 and run.log() == []
    assert "quota 'lots'" in result.output and "password:" in result.output
    assert "sh0rt-pass" not in result.output


@pytest.mark.parametrize("stdin", ["", "[]", '{"domains": [{}]}', '{"domains": 7}', '{"mailboxes": ["x"]}'])
def test_what_is_no_such_document_is_refused(run: Terminal, stdin: str) -> None:
    result = run("ensure", stdin=stdin)
    assert result.exit_code == 1 and "send domains, mailboxes, aliases as JSON" in result.output


def test_people_find_no_command_here(run: Terminal) -> None:
    """They have mailctl: one command line, one set of words."""
    for_programs = {"api", "canary-token", "destinations", "ensure", "host-news", "identity-keys", "purge"}
    for_programs |= {"mover", "shards"}
    assert {*cli.COMMANDS} == for_programs
    assert all(name in run("--help").output for name in for_programs - {"canary-token"})
    for arguments in (("nonsense",), ("mailbox", "add", "a@example.org"), ("list",)):
        assert run(*arguments).exit_code == 2, arguments


def test_a_database_that_is_away_is_exit_status_1(monkeypatch: pytest.MonkeyPatch) -> None:
    nowhere = Database("mariadb+pymysql://u:secret-of-the-url@127.0.0.1:9/x")
    monkeypatch.setattr(cli_database, "open_database", lambda: nowhere)
    result = CliRunner().invoke(cli.cli, ["purge"])
    assert result.exit_code == 1 and "the database refused" in result.output
    assert "secret-of-the-url" not in result.output


def test_missing_settings_are_exit_status_1_with_their_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DB_PASSWORD_FILE", raising=False)
    result = CliRunner().invoke(cli.cli, ["purge"])
    assert result.exit_code == 1 and "DB_PASSWORD_FILE is not set" in result.output


def test_purge_removes_what_expired_and_names_the_folders_for_the_host(run: Terminal) -> None:
    run.ensure(domains=WANTED["domains"], mailboxes=[ANNA])
    assert json.loads(run("purge", "--json").output) == {"accounts": [], "homes": []}
    with run.database.transaction() as session:
        mailbox = session.scalars(select(Mailbox)).one()
        removal.delete_mailbox(session, COMMAND_LINE, mailbox.id)
        mailbox.deleted_at = utc_now() - removal.GRACE - timedelta(seconds=2)
    shown = run("purge").output
    assert "accounts: 1\n  anna@example.org\n" in shown and "homes: 1\n  example.org/anna\n" in shown
    again = {"accounts": [], "homes": ["example.org/anna"]}
    assert json.loads(run("purge", "--json").output) == again, "the host may have been interrupted"
