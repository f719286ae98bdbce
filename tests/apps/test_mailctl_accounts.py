"""`mailctl user | domain | alias` on usermgmt's real API: only the container between them is left out."""

from __future__ import annotations

import json
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace

import pytest
from click.testing import CliRunner

from tests.apps.pages import EDGE

PARTS = Path(__file__).resolve().parents[2] / "{{cookiecutter.project_slug}}"


@pytest.fixture
def mailctl(tmp_path, monkeypatch):
    """Run mailctl with --json; returns exit code and document."""
    for source in ("platform/mailctl/src", "platform/usermgmt"):
        monkeypatch.syspath_prepend(str(PARTS / source))
    from typer.main import get_command

    from mailctl.cli import build
    from mailctl.core import engine
    from mailctl.core.errors import Problem, Refused
    from mailctl.core.runtime import Runtime
    from usermgmt import cli, cli_database, cli_programs
    from usermgmt import inside as socket
    from usermgmt.app import create_app
    from usermgmt.models import Base
    from usermgmt.passwords import Hasher
    from usermgmt.settings import Settings

    (tmp_path / "edge.yml").write_text(EDGE)
    options = {"session_key": "k" * 64, "cheap_hashes": True, "edge_file": tmp_path / "edge.yml"}
    settings = Settings("sqlite://", account_host="account.localhost", admin_host="localhost", **options)
    app = create_app(settings)
    database = app.extensions["usermgmt"].database
    Base.metadata.create_all(database.engine)
    monkeypatch.setattr(cli_database, "open_database", lambda: database)
    monkeypatch.setattr(cli_programs, "hasher", lambda: Hasher(cheap=True))

    def ask(method, path, body, media_type):
        sent = {"data": body, "content_type": media_type, "environ_overrides": {socket.INSIDE: True}}
        answer = app.test_client().open(path, method=method, base_url="http://127.0.0.1", **sent)
        return socket.Answer(answer.status_code, answer.mimetype, answer.data)

    monkeypatch.setattr(cli, "connection", lambda: SimpleNamespace(ask=ask, close=lambda: None))
    monkeypatch.setattr(engine, "connected", lambda: nullcontext(SimpleNamespace()))

    def inside(_runtime, service, words, stdin="", limit=60):
        if service == "rspamd":
            return "s1\tsigns\tv=DKIM1; p=KEY\n"
        assert service == words[0] == "usermgmt"
        done = CliRunner().invoke(cli.cli, words[1:], input=stdin)
        if done.exit_code:
            raise Refused(Problem("docker exec", done.output, "make status"))
        return done.stdout

    monkeypatch.setattr(Runtime, "inside", inside)
    monkeypatch.setattr(Runtime, "stream", lambda *words: iter(inside(*words).splitlines()))
    (tmp_path / "answers.yml").touch()
    (tmp_path / "docker-compose.yml").write_text("name: shop-mail\nservices: {}\n")
    (tmp_path / ".env").write_text("")
    monkeypatch.chdir(tmp_path)

    def run(*words: str, stdin: str = "") -> tuple[int, dict]:
        done = CliRunner().invoke(get_command(build()), [*words, "--json"], input=stdin)
        return done.exit_code, json.loads(done.stdout)

    yield run
    database.engine.dispose()


def test_the_commands_do_on_the_real_api_what_they_say(mailctl):
    def ok(*words: str, stdin: str = "") -> dict:
        code, document = mailctl(*words, stdin=stdin)
        assert code == 0, document
        return document

    owner, dora = "owner@elsewhere.example", "dora@elsewhere.example"
    assert ok("admin", "add", owner)["password"]
    assert ok("domain", "add", "example.com")["domain"]["active"]
    assert (
        ok("domain", "set", "example.com", "--default-quota", "2G", "--alias-limit", "5")["domain"][
            "most_aliases"
        ]
        == 5
    )
    assert ok("domain", "set", "example.com", "--alias-limit", "-1")["domain"]["most_aliases"] is None
    made = ok("user", "add", "anna@example.com", "--name", "Anna")
    assert made["password"] and made["user"]["quota"] == "2G"
    assert (
        ok("user", "password", "Anna@Example.com", "--password-stdin", stdin="violet otter ladder 7\n")[
            "password"
        ]
        is None
    )
    assert ok("user", "set", "anna@example.com", "--quota", "3G")["user"]["display_name"] == "Anna"
    assert (
        ok("alias", "add", "@example.com", "anna@example.com")["aliases"][0]["destination"]
        == "anna@example.com"
    )
    assert ok("sender", "block", "Bücher.example")["senders"][0]["sender"] == "xn--bcher-kva.example"
    assert (
        ok("sender", "allow", "Bücher.example", "--for", "anna@example.com")["senders"][0]["kind"] == "allow"
    )
    ok("sender", "remove", "Bücher.example", "--for", "Anna@example.com")
    assert [row["applies_to"] for row in ok("sender", "list")["senders"]] == [""]
    code, refused = mailctl("user", "delete", "anna@example.com", "--yes")
    assert code == 1 and "Aliases lead to this address" in refused["problems"][0]["wrong"]
    assert not ok("alias", "set", "@example.com", "--no-may-send")["aliases"][0]["may_send"]
    assert not ok("alias", "disable", "@example.com")["aliases"][0]["active"]
    ok("alias", "delete", "@example.com", "--yes")
    ok("user", "delete", "anna@example.com", "--yes")
    assert ok("user", "list")["users"] == [] and len(ok("user", "list", "--deleted")["users"]) == 1
    assert ok("user", "restore", "anna@example.com")["user"]["active"]
    assert not ok("user", "disable", "anna@example.com")["user"]["active"]
    assert ok("admin", "add", dora, "--domain", "example.com")["admin"]["domains"] == ["example.com"]
    assert not ok("admin", "disable", dora)["admin"]["active"]
    assert ok("admin", "reset", dora)["admin"]["active"]
    assert ok("admin", "set", dora, "--owner")["admin"]["role"] == "owner"
    assert [row["email"] for row in ok("admin", "list")["admins"]] == [dora, owner]
    ok("admin", "delete", dora, "--yes")
    code, refused = mailctl("admin", "disable", owner)
    assert code == 1 and "the last owner" in refused["problems"][0]["wrong"]


def test_users_are_exported_and_imported(mailctl, tmp_path):
    assert mailctl("domain", "add", "example.com")[0] == 0
    file = tmp_path / "new.csv"
    file.write_text("address,quota,destinations\nanna@example.com,2G,\ninfo@example.com,,anna@example.com\n")
    code, done = mailctl("user", "import", "new.csv", "--yes")
    assert (code, done["users"], done["aliases"], len(done["passwords"])) == (0, 1, 1, 1)
    assert mailctl("user", "export", "all.csv")[1]["rows"] == 2
    code, refused = mailctl("user", "import", "all.csv", "--yes")
    assert code == 1 and refused["problems"][0]["field"] == "line 2, address"


def test_what_dns_says_is_known_to_the_next_look(mailctl, monkeypatch):
    """There is no DNS server at that address: that is told apart from records that are missing."""
    monkeypatch.setattr("mailctl.edge.dns_view.TIMEOUT_SECONDS", 0.1)
    assert mailctl("domain", "add", "example.org")[0] == 0
    look = ("domain", "dns", "--changed", "--resolver", "127.0.0.1:9")
    code, first = mailctl(*look)
    records = first["domains"][0]["records"]
    assert (code, {each["state"] for each in records}) == (1, {"unasked"})
    assert records[-1]["name"] == "s1._domainkey.example.org" and first["domains"][0]["managed"]
    assert mailctl(*look)[0] == 0
