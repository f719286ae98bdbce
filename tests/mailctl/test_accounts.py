"""`mailctl user | domain | alias | admin`: what each asks of usermgmt's JSON API, and what it says.

That the real API answers so is tried in the template, in tests/apps/test_mailctl_accounts.py.
"""

import json
from pathlib import Path
from typing import Any

import pytest
from conftest import Cli
from fakes import FakeDocker, FakeEngine, container

USER = {
    "id": 7,
    "email": "anna@example.com",
    "display_name": "Anna",
    "quota": "1G",
    "quota_bytes": 1024**3,
    "active": True,
    "two_factor": False,
    "created_at": "2026-01-02T03:04:05+00:00",
    "deleted_at": None,
    "last_login_at": None,
    "version": 1,
}
DOMAIN = {
    "id": 3,
    "name": "example.com",
    "active": True,
    "default_quota_bytes": None,
    "most_mailboxes": None,
    "most_aliases": 9,
    "created_at": "2026-01-02T03:04:05+00:00",
    "version": 1,
}
ALIAS = {
    "id": 5,
    "source": "info@example.com",
    "destination": "anna@example.com",
    "active": True,
    "may_send": True,
    "created_at": "2026-01-02T03:04:05+00:00",
    "version": 1,
}
ADMIN = {
    "id": 2,
    "email": "dora@elsewhere.example",
    "role": "domain-admin",
    "domains": ["example.com"],
    "active": True,
    "created_at": "2026-01-02T03:04:05+00:00",
    "version": 1,
}
NEW_ADMIN = {"admin": ADMIN, "password": "abcde-fghij-kmnpq-rstuv"}
SENDER = {
    "id": 8,
    "sender": "shop.example",
    "kind": "allow",
    "applies_to": "example.com",
    "note": "the shop",
    "created_by": "command-line",
    "created_at": "2026-01-02T03:04:05+00:00",
}
TOKEN = {
    "id": 4,
    "name": "Onboarding",
    "admin": "dora@elsewhere.example",
    "domain": None,
    "scopes": ["mailbox:write"],
    "created_at": "2026-01-02T03:04:05+00:00",
    "expires_at": "2027-01-02T03:04:05+00:00",
    "last_used_at": None,
}
MADE_TOKEN = {"token": TOKEN, "secret": "usermgmt_abcdefgh"}
MADE = {"mailbox": USER, "password": "abcde-fghij-kmnpq-rstuv"}
FIND_USER = "/mailboxes?q=anna%40example.com&exact=true"
FIND_DELETED = f"{FIND_USER}&deleted=true"
FIND_DOMAIN = "/domains?q=example.com&exact=true"
FIND_ALIAS = "/aliases?q=info%40example.com&exact=true&limit=500"
FIND_ADMIN = "/admins?q=dora%40elsewhere.example&exact=true"
FIND_SENDER = "/senders?q=shop.example&exact=true&limit=500"


def answered(body: Any, status: int = 200) -> str:
    """What `usermgmt api` prints."""
    return json.dumps({"status": status, "body": body}) + "\n"


def listed(*rows: dict[str, Any]) -> str:
    return answered({"total": len(rows), "page": 1, "pages": 1, "next": None, "items": rows})


@pytest.fixture
def usermgmt(engine: FakeEngine, docker: FakeDocker) -> FakeDocker:
    engine.containers = [container("usermgmt")]
    for path, body in (
        ("/mailboxes/7", USER),
        ("/mailboxes/7/enable", USER),
        ("/mailboxes/7/disable", USER),
        ("/mailboxes/7/restore", USER),
        ("/mailboxes/7/erase", ""),
        ("/mailboxes/7/password", MADE),
        ("/mailboxes", MADE),
        ("/domains", DOMAIN),
        ("/domains/3", DOMAIN),
        ("/domains/3/enable", DOMAIN),
        ("/domains/3/disable", DOMAIN),
        ("/aliases", [ALIAS]),
        ("/aliases/5", ALIAS),
        ("/aliases/5/enable", ALIAS),
        ("/aliases/5/disable", ALIAS),
        ("/admins", NEW_ADMIN),
        ("/admins/2", ADMIN),
        ("/admins/2/enable", ADMIN),
        ("/admins/2/disable", ADMIN),
        ("/admins/2/reset", NEW_ADMIN),
        ("/senders", SENDER),
        ("/senders/8", ""),
        ("/tokens", MADE_TOKEN),
        ("/tokens/4", TOKEN),
    ):
        docker.answer(path, answered(body))
    for path, row in (
        (FIND_USER, USER),
        (FIND_DELETED, USER),
        (FIND_DOMAIN, DOMAIN),
        (FIND_ALIAS, ALIAS),
        (FIND_ADMIN, ADMIN),
        (FIND_SENDER, SENDER),
    ):
        docker.answer(path, listed(row))
    return docker


SHOP = "shop.example"
ANNA, DOT_COM, INFO, DORA = "anna@example.com", "example.com", "info@example.com", "dora@elsewhere.example"
OF_DOT_COM = {"role": "domain-admin", "domains": [DOT_COM]}


@pytest.mark.parametrize(
    ("words", "method", "path", "body"),
    [
        (("user", "show", ANNA), "GET", FIND_USER, None),
        (
            ("user", "add", ANNA, "--name", "Anna"),
            "POST",
            "/mailboxes",
            {"email": ANNA, "display_name": "Anna", "quota": "", "password": None},
        ),
        (("user", "set", ANNA, "--quota", "2G"), "PATCH", "/mailboxes/7", {"quota": "2G"}),
        (("user", "password", ANNA), "POST", "/mailboxes/7/password", {"password": None}),
        (("user", "enable", ANNA), "POST", "/mailboxes/7/enable", None),
        (("user", "disable", ANNA), "POST", "/mailboxes/7/disable", None),
        (("user", "delete", ANNA, "--yes"), "DELETE", "/mailboxes/7", None),
        (("user", "restore", ANNA), "POST", "/mailboxes/7/restore", None),
        (("user", "erase", ANNA, "--yes"), "POST", "/mailboxes/7/erase", None),
        (("domain", "show", DOT_COM), "GET", FIND_DOMAIN, None),
        (("domain", "add", DOT_COM), "POST", "/domains", {"name": DOT_COM}),
        (
            ("domain", "set", DOT_COM, "--storage", "500G", "--largest-quota", ""),
            "PATCH",
            "/domains/3",
            {"storage": "500G", "largest_quota": None},
        ),
        (
            ("domain", "set", DOT_COM, "--mailbox-limit", "-1", "--default-quota", "2G"),
            "PATCH",
            "/domains/3",
            {"default_quota": "2G", "most_mailboxes": None},
        ),
        (("domain", "enable", DOT_COM), "POST", "/domains/3/enable", None),
        (("domain", "disable", DOT_COM), "POST", "/domains/3/disable", None),
        (("domain", "delete", DOT_COM, "--yes"), "DELETE", "/domains/3", None),
        (("alias", "show", INFO), "GET", FIND_ALIAS, None),
        (
            ("alias", "add", INFO, ANNA),
            "POST",
            "/aliases",
            {"source": INFO, "destinations": [ANNA], "may_send": True},
        ),
        (
            ("alias", "add", INFO, ANNA, "--no-may-send"),
            "POST",
            "/aliases",
            {"source": INFO, "destinations": [ANNA], "may_send": False},
        ),
        (("alias", "set", INFO, "--no-may-send"), "PATCH", "/aliases/5", {"may_send": False}),
        (("alias", "enable", INFO), "POST", "/aliases/5/enable", None),
        (("alias", "disable", INFO, ANNA), "POST", "/aliases/5/disable", None),
        (("alias", "delete", INFO, "--yes"), "DELETE", "/aliases/5", None),
        (("admin", "show", DORA), "GET", FIND_ADMIN, None),
        (
            ("admin", "add", DORA),
            "POST",
            "/admins",
            {"email": DORA, "password": None, "role": "owner", "domains": []},
        ),
        (("admin", "set", DORA, "--domain", DOT_COM), "PATCH", "/admins/2", OF_DOT_COM),
        (("admin", "set", DORA, "--owner"), "PATCH", "/admins/2", {"role": "owner", "domains": []}),
        (("admin", "enable", DORA), "POST", "/admins/2/enable", None),
        (("admin", "disable", DORA), "POST", "/admins/2/disable", None),
        (("admin", "reset", DORA), "POST", "/admins/2/reset", {"password": None}),
        (("admin", "delete", DORA, "--yes"), "DELETE", "/admins/2", None),
        (
            ("sender", "allow", SHOP, "--for", DOT_COM, "--note", "the shop"),
            "POST",
            "/senders",
            {"sender": SHOP, "kind": "allow", "applies_to": DOT_COM, "note": "the shop"},
        ),
        (
            ("sender", "block", SHOP),
            "POST",
            "/senders",
            {"sender": SHOP, "kind": "block", "applies_to": "", "note": ""},
        ),
        (("sender", "remove", SHOP, "--for", DOT_COM), "DELETE", "/senders/8", None),
        (
            ("token", "create", "Onboarding", "--admin", DORA, "--scope", "mailbox:write", "--days", "365"),
            "POST",
            "/tokens",
            {"name": "Onboarding", "admin": DORA, "scopes": ["mailbox:write"], "domain": "", "days": "365"},
        ),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_a_command_makes_its_call(
    cli: Cli, usermgmt: FakeDocker, words: tuple[str, ...], method: str, path: str, body: Any
) -> None:
    result = cli(*words, "--json")
    assert result.exit_code == 0, result.stdout
    last = usermgmt.calls_with("api")[-1]
    called = last["arguments"][last["arguments"].index("api") :]
    assert called == ["api", method, path, *(["--body-stdin"] if body else [])]
    assert json.loads(last["stdin"] or "null") == body
    shown = cli(*words).stdout
    assert words[2] in shown


def test_a_list_is_one_process_in_the_container_whose_parts_are_shown_as_they_come(
    cli: Cli, usermgmt: FakeDocker
) -> None:
    parts = [listed({**USER, "email": f"a{number}@example.com"}) for number in (1, 2)]
    usermgmt.answer("/mailboxes?limit=500&q=&deleted=false&domain=", "".join(parts))
    emails = [row["email"] for row in json.loads(cli("user", "list", "--json").stdout)["users"]]
    assert emails == ["a1@example.com", "a2@example.com"] and len(usermgmt.calls_with("api")) == 1
    shown = cli("user", "list")
    assert [line.split()[0] for line in shown.stdout.splitlines()] == emails, "a pipe gets rows alone"
    assert shown.stderr == "2 users.\n"
    for path, words, row in (
        ("/domains", ("domain", "list"), DOMAIN),
        ("/aliases", ("alias", "list"), ALIAS),
        ("/admins", ("admin", "list"), ADMIN),
        ("/senders", ("sender", "list"), SENDER),
        ("/tokens", ("token", "list"), TOKEN),
    ):
        usermgmt.answer(f"{path}?limit=500&q=", listed(row))
        shown = cli(*words)
        assert str(row.get("name", row.get("source", row.get("email", row.get("sender"))))) in shown.stdout
        assert shown.stderr == f"1 {words[0]}.\n"


def test_a_list_that_breaks_off_is_no_whole_list(cli: Cli, usermgmt: FakeDocker) -> None:
    asked = "/mailboxes?limit=500&q=&deleted=false&domain="
    usermgmt.answer(asked, listed(USER), stderr="the database refused", code=1)
    result = cli("user", "list", "--json")
    assert result.exit_code == 1 and "the database refused" in result.stdout and "users" not in result.stdout
    down = {"field": "request", "value": "", "wrong": "Service Unavailable.", "fix": "Try again."}
    usermgmt.answer(asked, listed(USER) + answered({"problems": [down]}, 503))
    assert cli("user", "list").exit_code == 1
    usermgmt.answer(asked, "")
    assert "before the end" in cli("user", "list").stderr


@pytest.mark.parametrize("words", [("user", ANNA), ("domain", DOT_COM), ("alias", INFO, ANNA)])
def test_what_is_there_is_added_again_without_an_error_where_a_script_asks_for_that(
    cli: Cli, usermgmt: FakeDocker, words: tuple[str, ...]
) -> None:
    kind, *names = words
    assert cli(kind, "add", *names, "--if-missing").exit_code == 0 and not usermgmt.calls_with("POST")
    if kind == "alias":
        cli(kind, "add", *names, "bert@example.com", "--if-missing")
        sent = json.loads(usermgmt.calls_with("POST")[-1]["stdin"])
        assert sent["destinations"] == ["bert@example.com"], "the one that is missing"


def test_an_admin_is_given_everything_or_some_domains(cli: Cli, usermgmt: FakeDocker) -> None:
    for words in ((), ("--owner", "--domain", DOT_COM)):
        assert cli("admin", "set", DORA, *words).exit_code == 2
    assert not usermgmt.calls_with("PATCH")


def test_a_generated_password_is_shown_and_a_given_one_is_not(cli: Cli, usermgmt: FakeDocker) -> None:
    assert MADE["password"] in cli("user", "add", ANNA).stdout
    usermgmt.answer("/mailboxes", answered({**MADE, "password": None}, 201))
    given = cli("user", "add", ANNA, "--password-stdin", input="correct horse battery\n")
    assert given.exit_code == 0 and "password" not in given.stdout
    last = usermgmt.calls_with("api")[-1]
    assert "correct horse battery" in last["stdin"]
    assert "correct horse" not in " ".join(last["arguments"])


def test_what_usermgmt_refuses_is_said_in_its_words(cli: Cli, usermgmt: FakeDocker) -> None:
    problem = {"field": "quota", "value": "lots", "wrong": "This is not a size.", "fix": "Use 2G."}
    usermgmt.answer("/mailboxes", answered({"title": "", "status": 422, "problems": [problem]}, 422))
    result = cli("user", "add", ANNA, "--quota", "lots")
    said = " ".join(result.stderr.split())
    assert (
        result.exit_code == 1
        and "quota = lots" in said
        and "This is not a size." in said
        and "Use 2G." in said
    )


@pytest.mark.parametrize(
    ("words", "path"),
    [
        (("user", "show", ANNA), FIND_USER),
        (("user", "restore", ANNA), FIND_DELETED),
        (("domain", "show", DOT_COM), FIND_DOMAIN),
        (("alias", "show", INFO), FIND_ALIAS),
        (("admin", "show", DORA), FIND_ADMIN),
        (("sender", "remove", SHOP), FIND_SENDER),
    ],
)
def test_what_is_not_there_is_named(
    cli: Cli, usermgmt: FakeDocker, words: tuple[str, ...], path: str
) -> None:
    usermgmt.answer(path, listed())
    result = cli(*words)
    assert (
        result.exit_code == 1
        and f"there is no such {'deleted ' * ('restore' in words)}{words[0]}" in result.stderr
    )


@pytest.mark.parametrize(
    "words",
    [
        ("user", "delete", ANNA),
        ("domain", "delete", DOT_COM),
        ("alias", "delete", INFO),
        ("admin", "delete", DORA),
        ("token", "revoke", "4"),
    ],
)
def test_nothing_is_deleted_without_a_yes(cli: Cli, usermgmt: FakeDocker, words: tuple[str, ...]) -> None:
    result = cli(*words)
    assert result.exit_code == 2 and "add --yes" in " ".join(result.stderr.split())
    assert not usermgmt.calls_with("DELETE")


def test_a_token_is_shown_once_and_revoked_by_its_number(cli: Cli, usermgmt: FakeDocker) -> None:
    arguments = ("token", "create", "Onboarding", "--admin", DORA, "--scope", "mailbox:write")
    assert MADE_TOKEN["secret"] in cli(*arguments).stdout
    revoked = cli("token", "revoke", "4", "--yes", "--json")
    assert json.loads(revoked.stdout)["token"]["name"] == "Onboarding"
    assert usermgmt.calls_with("DELETE")[-1]["arguments"][-2:] == ["DELETE", "/tokens/4"]
    assert cli("token", "revoke", "0", "--yes").exit_code == 2


def test_the_first_owner_gets_a_generated_password_shown_once(cli: Cli, usermgmt: FakeDocker) -> None:
    shown = cli("admin", "add", DORA).stdout
    assert "abcde-fghij-kmnpq-rstuv" in shown and "only this once" in shown


def test_an_import_is_tried_first_and_shows_the_passwords_once(
    cli: Cli, usermgmt: FakeDocker, tmp_path: Path
) -> None:
    file = tmp_path / "users.csv"
    file.write_text("\ufeffaddress\nanna@example.com\n")
    tried = {"dry_run": True, "mailboxes": 1, "aliases": 0, "passwords": []}
    passwords = [{"email": ANNA, "password": "abcde-fghij-kmnpq-rstuv"}]
    usermgmt.answer("/import", answered(tried))
    usermgmt.answer("/import?dry_run=false", answered(tried | {"dry_run": False, "passwords": passwords}))
    asked = cli("user", "import", file)
    assert asked.exit_code == 2 and not usermgmt.calls_with("/import?dry_run=false")
    shown = cli("user", "import", file, "--yes").stdout
    assert "abcde-fghij-kmnpq-rstuv" in shown and "1 user and 0 aliases added" in shown
    assert usermgmt.calls[-1]["stdin"] == "address\nanna@example.com\n"
    problem = {"line": 3, "field": "quota", "value": "lots", "wrong": "This is not a size.", "fix": "Use 2G."}
    usermgmt.answer("/import", answered({"title": "", "status": 422, "problems": [problem]}, 422))
    assert "line 3, quota = lots" in cli("user", "import", file, "--yes").stderr


def test_an_export_is_written_to_a_new_file_only(cli: Cli, usermgmt: FakeDocker, tmp_path: Path) -> None:
    usermgmt.answer("/export", answered("address\r\nanna@example.com\r\n"))
    file = tmp_path / "users.csv"
    assert json.loads(cli("user", "export", file, "--json").stdout)["rows"] == 1
    assert file.read_bytes() == b"address\r\nanna@example.com\r\n"
    assert cli("user", "export", file).exit_code == 1
