"""Tokens of programs: made by owners, shown once, kept as hashes, and the command line's own way in."""

from __future__ import annotations

import hashlib
import json
import re
from typing import Any

import pytest
from click.testing import CliRunner, Result
from flask import Flask
from sqlalchemy import select
from support import ADMIN_EMAIL, PROXY, Browser, Directory, InProcess
from werkzeug.datastructures import MultiDict

from usermgmt import cli, cli_database, cli_programs
from usermgmt.database import Database
from usermgmt.models import ApiToken, AuditEntry
from usermgmt.passwords import Hasher
from usermgmt.services.audit import COMMAND_LINE

TOKEN = re.compile(r"usermgmt_[\w-]{43}")


@pytest.fixture
def filled(browser: Browser, web_database: Database, hasher: Hasher) -> Browser:
    """An owner's browser, and example.org."""
    with web_database.transaction() as session:
        Directory(session, COMMAND_LINE, hasher).domain("example.org")
    return browser


def send(browser: Browser, **fields: Any) -> Any:
    """The form, in which a name may have several values."""
    browser.get("/tokens")
    data = MultiDict([("csrf_token", browser.token)])
    for name, value in fields.items():
        data.setlist(name, value if isinstance(value, list) else [value])
    return browser.client.post("/tokens", data=data, environ_overrides=browser.environ)


def status(app: Flask, secret: str, path: str) -> int:
    """What the API answers to a token."""
    headers, environ = {"Authorization": f"Bearer {secret}"}, {"REMOTE_ADDR": PROXY}
    client = app.test_client(use_cookies=False)
    return client.get(f"/api/v1{path}", headers=headers, environ_overrides=environ).status_code


def test_an_owner_makes_a_token_sees_it_once_and_revokes_it(
    app: Flask, filled: Browser, web_database: Database
) -> None:
    answer = send(filled, name="Backup script", scopes=["mailbox:read"], domain="example.org", days="30")
    secret = TOKEN.search(answer.text)
    assert answer.status_code == 201 and secret
    assert status(app, secret[0], "/mailboxes") == 200 and status(app, secret[0], "/aliases") == 403
    listed = filled.get("/tokens").text
    assert "Backup script" in listed and "mailbox:read" in listed and not TOKEN.search(listed)
    with web_database.transaction() as session:
        row = session.scalars(select(ApiToken)).one()
        details = [str(each.detail) for each in session.scalars(select(AuditEntry))]
    assert row.token_hash == hashlib.sha256(secret[0].encode()).hexdigest() and row.last_used_at
    assert not any(secret[0] in detail or row.token_hash in detail for detail in details)
    assert filled.post(f"/tokens/{row.id}/delete").status_code == 303
    assert status(app, secret[0], "/mailboxes") == 401


def test_a_wrong_form_says_everything_that_is_wrong(filled: Browser) -> None:
    answer = send(filled, name="", scopes=["root"], domain="nowhere.example", days="soon")
    assert answer.status_code == 422
    for text in ("A name is missing", "no such scope", "no such domain", "not a number of days"):
        assert text in answer.text, text
    assert "can do nothing" in send(filled, name="x", days="").text


class Terminal:
    """Runs commands against an application and its database."""

    def __call__(self, *arguments: str, stdin: str = "") -> Result:
        return CliRunner().invoke(cli.cli, arguments, input=stdin)


@pytest.fixture
def run(app: Flask, web_database: Database, hasher: Hasher, monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """The command line of the container."""
    Browser(app).get("/login")
    monkeypatch.setattr(cli_database, "open_database", lambda: web_database)
    monkeypatch.setattr(cli_programs, "hasher", lambda: hasher)
    monkeypatch.setattr(cli, "connection", lambda: InProcess(app))
    return Terminal()


def test_the_command_line_makes_lists_and_revokes_tokens(app: Flask, run: Terminal) -> None:
    def ask(method: str, path: str, **body: Any) -> Any:
        words = ("--body-stdin",) if body else ()
        return json.loads(run("api", method, path, *words, stdin=json.dumps(body)).output)["body"]

    wanted = {"name": "Cron", "admin": ADMIN_EMAIL, "scopes": ["audit:read"], "days": "9"}
    made = ask("POST", "/tokens", **wanted)
    assert TOKEN.fullmatch(made["secret"]) and status(app, made["secret"], "/audit") == 200
    (row,) = ask("GET", "/tokens?q=cro")["items"]
    assert (row["name"], row["admin"], row["domain"]) == ("Cron", ADMIN_EMAIL, None)
    assert row["scopes"] == ["audit:read"] and row["last_used_at"] and "hash" not in json.dumps(row)
    assert ask("GET", f"/tokens/{row['id']}") == row and not ask("GET", "/tokens?q=zzz")["items"]
    assert status(app, made["secret"], "/tokens") == 403, "no token manages tokens"
    ask("DELETE", f"/tokens/{row['id']}")
    assert status(app, made["secret"], "/audit") == 401
    for number in (row["id"], 2**40):
        assert ask("DELETE", f"/tokens/{number}")["status"] == 404
    refused = ask("POST", "/tokens", **{**wanted, "admin": "nobody@example.org"})
    assert refused["problems"][0]["wrong"] == "There is no such admin."


def test_the_command_line_calls_the_api_without_a_token(run: Terminal, web_database: Database) -> None:
    made = run("api", "POST", "/domains", "--body-stdin", stdin='{"name": "example.net"}')
    document = json.loads(made.output)
    assert made.exit_code == 0 and document["status"] == 201 and document["body"]["name"] == "example.net"
    with web_database.transaction() as session:
        newest = session.scalars(select(AuditEntry).order_by(AuditEntry.id.desc())).first()
    assert newest and (newest.actor, newest.action) == ("command-line", "domain.add")
    deleted = run("api", "DELETE", f"/domains/{document['body']['id']}")
    assert json.loads(deleted.output) == {"status": 204, "body": ""}
    refused = json.loads(run("api", "POST", "/domains", "--body-stdin", stdin='{"name": "x"}').output)
    assert refused["status"] == 422 and refused["body"]["problems"][0]["field"] == "name"


def test_a_list_is_printed_to_its_end_a_line_for_each_part(run: Terminal) -> None:
    for name in "abc":
        run("api", "POST", "/domains", "--body-stdin", stdin=json.dumps({"name": f"{name}.example"}))
    printed = run("api", "GET", "/domains?limit=2", "--all").output.splitlines()
    parts = [json.loads(line)["body"]["items"] for line in printed]
    assert [[row["name"][0] for row in part] for part in parts] == [["a", "b"], ["c"]]
    refused = run("api", "GET", "/domains?limit=0", "--all").output.splitlines()
    assert [json.loads(line)["status"] for line in refused] == [422]


def test_a_reset_admin_has_no_tokens_left(app: Flask, filled: Browser, run: Terminal) -> None:
    secret = TOKEN.search(send(filled, name="Left behind", scopes=["mailbox:read"], domain="", days="").text)
    assert secret and status(app, secret[0], "/mailboxes") == 200
    body = json.dumps({"password": "a new long pass phrase"})
    assert (
        json.loads(run("api", "POST", "/admins/1/reset", "--body-stdin", stdin=body).output)["status"] == 200
    )
    assert status(app, secret[0], "/mailboxes") == 401
