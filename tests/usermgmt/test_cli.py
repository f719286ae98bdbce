"""The command line: the same rules, the same log, and exit statuses that scripts can trust."""

from __future__ import annotations

import json
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from click.testing import CliRunner, Result
from conftest import actions
from sqlalchemy import select

from usermgmt import cli, cli_database
from usermgmt.database import Database
from usermgmt.models import Admin, AuditEntry, Mailbox, utc_now
from usermgmt.passwords import Hasher
from usermgmt.services import removal
from usermgmt.services.audit import COMMAND_LINE

PASSWORD = "correct horse battery"
MAILBOX = ("mailbox", "add", "anna@example.org", "--password-stdin")


class Terminal:
    """Runs commands against a database."""

    def __init__(self, database: Database) -> None:
        self.database = database

    def __call__(self, *arguments: str, stdin: str = "") -> Result:
        return CliRunner().invoke(cli.cli, arguments, input=stdin)

    def log(self) -> list[str]:
        """The audit log in order."""
        with self.database.transaction() as session:
            return actions(session)


@pytest.fixture
def run(database: Database, hasher: Hasher, monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """The command line on a database in memory."""
    monkeypatch.setattr(cli_database, "open_database", lambda: database)
    monkeypatch.setattr(cli, "hasher", lambda: hasher)
    return Terminal(database)


def test_a_domain_a_mailbox_and_an_alias_are_added_and_logged(run: Terminal, hasher: Hasher) -> None:
    assert run("domain", "add", "example.org").output == "domain example.org added\n"
    assert run(*MAILBOX, "--quota", "2G", stdin=PASSWORD + "\n").exit_code == 0
    assert run("alias", "add", "@example.org", "anna@example.org").exit_code == 0
    assert run.log() == ["domain.add", "mailbox.add", "alias.add"]
    with run.database.transaction() as session:
        mailbox = session.scalars(select(Mailbox)).one()
        actors = set(session.scalars(select(AuditEntry.actor)))
    assert hasher.matches(PASSWORD, mailbox.password_hash)
    assert (mailbox.quota_bytes, actors) == (2 * 1024**3, {"command-line"})


def test_adding_again_fails_but_succeeds_with_if_missing(run: Terminal) -> None:
    steps: list[Any] = [
        partial(run, "domain", "add", "example.org"),
        partial(run, *MAILBOX, stdin=PASSWORD),
        partial(run, "alias", "add", "info@example.org", "anna@example.org"),
        partial(run, "admin", "add", "root@example.org", "--password-stdin", stdin=PASSWORD),
    ]
    for step in steps:
        assert step().exit_code == 0
    before = run.log()
    for step in steps:
        assert step().exit_code == 1
        again = step("--if-missing")
        assert again.exit_code == 0 and "already there" in again.output
    assert run.log() == before


def test_a_refusal_is_exit_status_1_and_names_field_value_and_advice(run: Terminal) -> None:
    result = run("domain", "add", "nodots")
    assert result.exit_code == 1
    assert "name 'nodots': This is not a domain name" in result.output and "example.org" in result.output


def test_every_problem_of_a_mailbox_is_printed_but_no_password(run: Terminal) -> None:
    result = run("mailbox", "add", "x", "--password-stdin", "--quota", "lots", stdin="sh0rt-pass")
    assert result.exit_code == 1
    assert all(field in result.output for field in ("email 'x'", "quota 'lots'", "password:"))
    assert "sh0rt-pass" not in result.output


def test_wrong_usage_is_exit_status_2(run: Terminal) -> None:
    for arguments in (("mailbox", "add", "a@example.org"), ("domain", "add"), ("nonsense",), ("list", "-x")):
        assert run(*arguments).exit_code == 2, arguments


def test_an_empty_standard_input_is_refused(run: Terminal) -> None:
    result = run(*MAILBOX, stdin="\n")
    assert result.exit_code == 1 and "no password on standard input" in result.output


def test_a_reset_gives_an_admin_a_new_password_and_access(run: Terminal, hasher: Hasher) -> None:
    run("admin", "add", "root@example.org", "--password-stdin", stdin=PASSWORD)
    result = run("admin", "reset", "Root@example.org", "--password-stdin", stdin="another good phrase")
    assert result.exit_code == 0 and run.log() == ["admin.add", "admin.reset"]
    with run.database.transaction() as session:
        admin = session.scalars(select(Admin)).one()
    assert hasher.matches("another good phrase", admin.password_hash) and admin.active


def test_an_admin_is_given_domains_and_the_last_owner_stays(run: Terminal) -> None:
    run("domain", "add", "example.org")
    for email in ("root@example.org", "dora@example.org"):
        run("admin", "add", email, "--password-stdin", stdin=PASSWORD)
    result = run("admin", "domains", "dora@example.org", "example.org")
    assert result.exit_code == 0 and result.output == "admin dora@example.org administers example.org\n"
    result = run("admin", "domains", "root@example.org", "example.org")
    assert result.exit_code == 1 and "the last owner" in result.output
    result = run("admin", "domains", "dora@example.org", "nowhere.example")
    assert result.exit_code == 1 and "domain 'nowhere.example': There is no such domain" in result.output
    assert (
        run("admin", "domains", "dora@example.org").output
        == "admin dora@example.org administers everything\n"
    )


def test_the_reset_of_an_unknown_admin_is_refused(run: Terminal) -> None:
    result = run("admin", "reset", "nobody@example.org", "--password-stdin", stdin=PASSWORD)
    assert result.exit_code == 1 and "no such admin" in result.output


def test_the_list_is_complete_json_without_hashes(run: Terminal) -> None:
    run("domain", "add", "example.org")
    run(*MAILBOX, "--name", "Anna", stdin=PASSWORD)
    run("alias", "add", "info@example.org", "anna@example.org")
    result = run("list", "--json")
    assert json.loads(result.output) == {
        "domains": [{"name": "example.org", "active": True}],
        "mailboxes": [{"email": "anna@example.org", "name": "Anna", "quota_bytes": 1024**3, "active": True}],
        "aliases": [{"source": "info@example.org", "destination": "anna@example.org", "active": True}],
        "admins": [],
    }
    assert "anna@example.org" in run("list").output


def test_a_database_that_is_away_is_exit_status_1(monkeypatch: pytest.MonkeyPatch) -> None:
    nowhere = Database("mariadb+pymysql://u:secret-of-the-url@127.0.0.1:9/x")
    monkeypatch.setattr(cli_database, "open_database", lambda: nowhere)
    result = CliRunner().invoke(cli.cli, ["list"])
    assert result.exit_code == 1 and "the database refused" in result.output
    assert "secret-of-the-url" not in result.output


def test_missing_settings_are_exit_status_1_with_their_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DB_PASSWORD_FILE", raising=False)
    result = CliRunner().invoke(cli.cli, ["list"])
    assert result.exit_code == 1 and "DB_PASSWORD_FILE is not set" in result.output


def test_a_deleted_mailbox_comes_back_or_goes_for_good(run: Terminal) -> None:
    run("domain", "add", "example.org")
    run(*MAILBOX, stdin=PASSWORD)
    assert run("mailbox", "restore", "anna@example.org").exit_code == 1
    for command in ("restore", "erase"):
        with run.database.transaction() as session:
            mailbox = session.scalars(select(Mailbox)).one()
            removal.delete_mailbox(session, COMMAND_LINE, mailbox.id)
        assert run(*MAILBOX, stdin=PASSWORD).exit_code == 1
        assert run("mailbox", command, "anna@example.org").exit_code == 0
    assert run(*MAILBOX, stdin=PASSWORD).exit_code == 0
    with run.database.transaction() as session:
        assert session.scalars(select(Mailbox.home)).one() == "example.org/anna+2"
    assert run.log()[-3:] == ["mailbox.delete", "mailbox.erase", "mailbox.add"]


def test_purge_removes_what_expired_and_names_the_folders_for_the_host(run: Terminal) -> None:
    run("domain", "add", "example.org")
    run(*MAILBOX, stdin=PASSWORD + "\n")
    assert json.loads(run("purge", "--json").output) == {"accounts": [], "homes": []}
    with run.database.transaction() as session:
        mailbox = session.scalars(select(Mailbox)).one()
        removal.delete_mailbox(session, COMMAND_LINE, mailbox.id)
        mailbox.deleted_at = utc_now() - removal.GRACE - timedelta(seconds=2)
    shown = run("purge").output
    assert "accounts: 1\n  anna@example.org\n" in shown and "homes: 1\n  example.org/anna\n" in shown
    again = {"accounts": [], "homes": ["example.org/anna"]}
    assert json.loads(run("purge", "--json").output) == again, "the host may have been interrupted"
