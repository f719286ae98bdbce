"""`mailctl secrets status`: what is there, what is due, and exit code 1 when something needed is missing."""

import json
import os
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from conftest import Cli

from mailctl.secret_files import certificates
from mailctl.secret_files.table import used


@pytest.fixture
def secrets(repo: Path, cli: Cli) -> Path:
    assert cli("secrets", "init").exit_code == 0
    return repo / "secrets"


def finding(cli: Cli, name: str) -> dict[str, object]:
    document = json.loads(cli("secrets", "status", "--json").stdout)
    return next(entry for entry in document["secrets"] if entry["name"] == name)


def test_a_fresh_folder_is_in_order_although_the_optional_ones_are_empty(secrets: Path, cli: Cli) -> None:
    result = cli("secrets", "status")
    assert result.exit_code == 0
    assert all(entry.file in result.stdout for entry in used(several=False).entries)
    said = " ".join(result.stdout.split())
    assert "relay_password: outgoing mail waits in the queue: put SENDGRID_API_KEY into .env" in said


@pytest.mark.parametrize(
    "name", ["mariadb_root_password", "valkey_auth.conf", "dovecot_tls.crt", "relay_password"]
)
def test_a_missing_file_fails_and_the_fix_is_named(secrets: Path, cli: Cli, name: str) -> None:
    (secrets / name).unlink()
    result = cli("secrets", "status")
    assert result.exit_code == 1
    assert f"{name}: make setup" in " ".join(result.stdout.split())


def test_a_needed_file_that_is_empty_fails(secrets: Path, cli: Cli) -> None:
    (secrets / "usermgmt_session_key").chmod(0o600)
    (secrets / "usermgmt_session_key").write_text("")
    assert cli("secrets", "status").exit_code == 1
    assert finding(cli, "usermgmt_session_key")["state"] == "empty"


@pytest.mark.parametrize(
    ("name", "days"),
    [("mariadb_root_password", 90), ("postfix_db_password", 90), ("mailserver_api_tokens", 90)],
)
def test_rotation_is_due_after_the_days_of_the_document(
    secrets: Path, cli: Cli, name: str, days: int
) -> None:
    for age, due in ((days, False), (days + 1, True)):
        then = time.time() - age * 86400 - 60
        os.utime(secrets / name, (then, then))
        found = finding(cli, name)
        assert (found["age_days"], found["rotate_days"]) == (age, days)
        assert str(found["todo"]).startswith("rotation is due") is due


def test_the_relay_key_is_rotated_once_a_year(repo: Path, secrets: Path, cli: Cli) -> None:
    assert finding(cli, "relay_password")["rotate_days"] == 365


def test_a_wrong_mode_is_shown_but_does_not_fail(secrets: Path, cli: Cli) -> None:
    (secrets / "valkey_password").chmod(0o640)
    result = cli("secrets", "status")
    assert result.exit_code == 0
    assert "0640!" in result.stdout and "mode must be 0444" in result.stdout


@pytest.mark.parametrize(
    ("days", "code", "word"), [(-1, 1, "has expired"), (10, 0, "expires in"), (60, 0, "")]
)
def test_a_certificate_is_judged_by_what_is_left_of_it(
    secrets: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch, days: int, code: int, word: str
) -> None:
    class Clock(datetime):
        @classmethod
        def now(cls, tz: object = None) -> datetime:
            return datetime.now(UTC) + timedelta(days=certificates.SERVICE_DAYS - days)

    monkeypatch.setattr("mailctl.secret_files.inspect.datetime", Clock)
    result = cli("secrets", "status")
    assert result.exit_code == code
    assert (word in result.stdout) if word else ("expire" not in result.stdout)


def test_without_a_folder_the_next_command_is_named(repo: Path, cli: Cli) -> None:
    result = cli("secrets", "status")
    assert result.exit_code == 1
    assert "make setup" in result.stderr


@pytest.mark.parametrize("width", [44, 80, 120])
def test_no_line_is_wider_than_the_terminal(
    secrets: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch, width: int
) -> None:
    (secrets / "valkey_auth.conf").unlink()
    monkeypatch.setenv("COLUMNS", str(width))
    assert max(len(line) for line in cli("secrets", "status").stdout.splitlines()) <= width
