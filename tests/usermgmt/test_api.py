"""The JSON API: the same services for programs, with tokens instead of cookies."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import timedelta
from functools import cache, partial
from typing import Any

import pytest
from conftest import actions
from flask import Flask
from sqlalchemy import select
from support import ADMIN_EMAIL, PASSWORD, PROXY, Browser, Directory, give_domains
from test_permissions import report_for, rule_of
from werkzeug.test import TestResponse

from usermgmt.database import Database
from usermgmt.inside import INSIDE
from usermgmt.models import (
    OWNER,
    Admin,
    Alias,
    ApiToken,
    AuditEntry,
    Domain,
    Mailbox,
    MailReport,
    SenderRule,
    utc_now,
)
from usermgmt.passwords import Hasher
from usermgmt.permissions import ACTIONS, SCOPES
from usermgmt.permit import permits
from usermgmt.services import admins, tokens
from usermgmt.services.audit import COMMAND_LINE

DOMAIN_ADMIN_EMAIL = "dora@elsewhere.example"
FOREIGN = "foreign.example"
#: Bodies that are valid where an operation needs one; the addresses are in the domain that is asked about.
BODIES: dict[str, dict[str, Any]] = {
    "add_domain": {"name": "new.example"},
    "change_domain": {"most_mailboxes": 100},
    "set_domain_dns": {"records": []},
    "add_sender": {"sender": "w@else.example", "kind": "allow", "applies_to": "DOMAIN"},
    "add_mailbox": {"email": "new@DOMAIN"},
    "change_mailbox": {"quota": "2G"},
    "set_mailbox_password": {},
    "add_alias": {"source": "new@DOMAIN", "destinations": ["anna@DOMAIN"]},
    "change_alias": {"may_send": False},
    "add_admin": {"email": "new@elsewhere.example"},
    "change_admin": {"role": OWNER},
    "reset_admin": {},
}


class Program:
    """What calls the API with a token, or without."""

    def __init__(self, app: Flask, token: str = "") -> None:
        self.client = app.test_client(use_cookies=False)
        self.headers = {"Authorization": f"Bearer {token}"} if token else {}

    def __call__(self, method: str, path: str, body: object = None, **headers: str) -> TestResponse:
        return self.client.open(
            f"/api/v1{path}",
            method=method,
            json=body,
            headers={**self.headers, **headers},
            environ_overrides={"REMOTE_ADDR": PROXY},
        )


@pytest.fixture
def filled(app: Flask, web_database: Database, hasher: Hasher) -> Iterator[Database]:
    """Two domains with a mailbox, its mail, a deleted one and an alias each, and an admin of the first."""
    Browser(app).get("/login")
    with web_database.transaction() as session:
        directory = Directory(session, COMMAND_LINE, hasher)
        for domain in ("own.example", FOREIGN):
            directory.domain(domain)
            session.add(report_for(anna := directory.mailbox(f"anna@{domain}")))
            session.add(rule_of(anna))
            directory.mailbox(f"gone@{domain}").deleted_at = utc_now()
            directory.alias(f"info@{domain}", f"anna@{domain}")
        admins.add_admin(session, COMMAND_LINE, hasher, DOMAIN_ADMIN_EMAIL, PASSWORD)
        give_domains(session, DOMAIN_ADMIN_EMAIL, ["own.example"])
    yield web_database


def token(
    database: Database,
    scopes: tuple[str, ...] = SCOPES,
    email: str = ADMIN_EMAIL,
    domain: str = "",
    days: str = "",
) -> str:
    """A token of an admin."""
    with database.transaction() as session:
        admin = session.scalars(select(Admin).where(Admin.email == email)).one()
        return tokens.add_token(session, COMMAND_LINE, admin, "test", scopes, domain, days)


def number(database: Database, name: str, domain: str, deleted: bool = False) -> int:
    """The number of the domain, or of its mailbox, alias or mail."""
    with database.transaction() as session:
        found = session.scalars(select(Domain).where(Domain.name == domain)).one()
        if name == "domain_id":
            return found.id
        tables: dict[str, Any] = {"alias_id": Alias, "report_id": MailReport, "rule_id": SenderRule}
        if table := tables.get(name):
            return session.scalars(select(table.id).where(table.domain_id == found.id)).first() or 0
        rows = session.scalars(select(Mailbox).where(Mailbox.domain_id == found.id))
        return next(row.id for row in rows if (row.deleted_at is not None) is deleted)


def operations(app: Flask) -> list[tuple[str, str, str]]:
    """Name, method and path of every operation, from the application itself."""
    return [
        (rule.endpoint.partition(".")[2], method, rule.rule.removeprefix("/api/v1"))
        for rule in app.url_map.iter_rules()
        for method in sorted((rule.methods or set()) - {"HEAD", "OPTIONS"})
        if rule.endpoint.startswith("api.")
    ]


def action(app: Flask, name: str) -> str:
    """What the operation says that it does; nothing if it does not say."""
    return str(getattr(app.view_functions[f"api.{name}"], "action", ""))


def test_every_operation_says_what_it_does(app: Flask) -> None:
    assert [name for name, _, _ in operations(app) if action(app, name) not in ACTIONS] == []


def test_an_action_without_a_row_stops_the_application_from_starting() -> None:
    with pytest.raises(ValueError, match="no row"):
        permits("mailbox.rename")


def holders(database: Database) -> Iterator[tuple[str, str, set[str], set[str]]]:
    """Tokens of each scope, of each admin, of one domain or all: token, role, scopes, domains reached."""
    both = {"own.example", FOREIGN}
    yield token(database), OWNER, {*SCOPES}, both
    for email, role, reach in (
        (ADMIN_EMAIL, OWNER, both),
        (DOMAIN_ADMIN_EMAIL, "domain-admin", {"own.example"}),
    ):
        for scope in SCOPES:
            yield token(database, (scope,), email), role, {scope}, reach
            for domain in sorted(both):
                yield token(database, (scope,), email, domain), role, {scope, "one"}, reach & {domain}


def may(action: str, role: str, scopes: set[str]) -> bool:
    """What the rules say, written once more in another way."""
    if action in ("directory.import", "directory.export"):
        needed = (
            ("mailbox.add", "alias.add") if action == "directory.import" else ("mailbox.list", "alias.list")
        )
        return all(may(each, role, scopes) for each in needed)
    kind, _, verb = action.partition(".")
    needed = {f"{kind}:write"} | ({f"{kind}:read"} if verb == "list" else set())
    if "one" in scopes and action == "domain.add":
        return False
    return role in ACTIONS[action] and bool(needed & scopes)


def test_a_token_does_what_its_scope_its_domain_and_its_admin_allow_and_nothing_else(
    app: Flask, filled: Database
) -> None:
    app.config["PROPAGATE_EXCEPTIONS"] = False
    number_of = cache(partial(number, filled))
    for secret, role, scopes, reach in holders(filled):
        program = Program(app, secret)
        for name, method, path in operations(app):
            for domain in ("own.example", FOREIGN):
                within = re.search(r"<int:(\w+)>", path)
                deleted = name in ("restore_mailbox", "erase_mailbox")
                row = number_of(within[1], domain, deleted) if within else 0
                body = json.loads(json.dumps(BODIES.get(name)).replace("DOMAIN", domain))
                allowed = may(action(app, name), role, scopes)
                if allowed and domain in reach and method != "GET":
                    continue  # That it works is what the other tests show; here nothing may change.
                status = program(method, re.sub("<.*?>", str(row), path), body).status_code
                expected = 403 if not allowed else 404 if within and domain not in reach else 200
                if allowed and not within and method == "POST":
                    # What is added is in no domain yet: the service refuses a foreign one.
                    expected = 422
                assert status == expected, (role, scopes, name, domain, status)


@pytest.mark.parametrize(("email", "domain"), [(ADMIN_EMAIL, "own.example"), (DOMAIN_ADMIN_EMAIL, "")])
def test_a_token_of_some_domains_reads_what_was_done_in_these_alone(
    app: Flask, filled: Database, email: str, domain: str
) -> None:
    entries = Program(app, token(filled, ("audit:read",), email, domain))("GET", "/audit").json["items"]
    assert entries and all(entry["subject"].endswith("own.example") for entry in entries)


def test_without_a_valid_token_nothing_is_answered(app: Flask, filled: Database) -> None:
    ended = token(filled, days="1")
    with filled.transaction() as session:
        session.scalars(select(ApiToken)).one().expires_at = utc_now() - timedelta(seconds=1)
    browser = Browser(app)
    assert browser.log_in().status_code == 303
    assert browser.get("/api/v1/domains").status_code == 401, "a cookie is no token"
    for name, method, path in operations(app):
        for secret in ("", "nonsense", ended):
            answer = Program(app, secret)(method, re.sub("<.*?>", "1", path), BODIES.get(name))
            assert answer.status_code == 401 and "Bearer" in answer.headers["WWW-Authenticate"], name


def test_a_header_cannot_pretend_to_be_the_command_line(app: Flask, filled: Database) -> None:
    for name in (INSIDE, "usermgmt_command_line", "usermgmt-command-line"):
        assert Program(app)("GET", "/domains", **{name: "True"}).status_code == 401


def test_a_token_ends_with_its_admin_and_when_it_is_revoked(app: Flask, filled: Database) -> None:
    program = Program(app, token(filled, email=DOMAIN_ADMIN_EMAIL))
    assert program("GET", "/mailboxes").status_code == 200
    with filled.transaction() as session:
        admin = session.scalars(select(Admin).where(Admin.email == DOMAIN_ADMIN_EMAIL)).one()
        admin.active = False
    assert program("GET", "/mailboxes").status_code == 401
    with filled.transaction() as session:
        session.scalars(select(Admin).where(Admin.email == DOMAIN_ADMIN_EMAIL)).one().active = True
    assert program("GET", "/mailboxes").status_code == 200
    with filled.transaction() as session:
        tokens.revoke_token(session, COMMAND_LINE, session.scalars(select(ApiToken.id)).one())
    assert program("GET", "/mailboxes").status_code == 401


def test_a_domain_a_mailbox_and_an_alias_live_and_end(app: Flask, filled: Database) -> None:
    call = Program(app, token(filled))
    domain = call("POST", "/domains", {"name": "New.Example"})
    assert domain.status_code == 201 and domain.json["name"] == "new.example"
    at = f"/domains/{domain.json['id']}"
    changed = call("PATCH", at, {"default_quota": "3G", "most_aliases": 7})
    assert (changed.json["default_quota_bytes"], changed.json["most_aliases"]) == (3 * 1024**3, 7)
    assert call("PATCH", at, {"most_aliases": None}).json["default_quota_bytes"] == 3 * 1024**3

    made = call("POST", "/mailboxes", {"email": "bert@new.example", "display_name": "Bert"})
    assert made.status_code == 201 and len(made.json["password"]) > 20
    assert made.json["mailbox"]["quota"] == "3G"
    box = f"/mailboxes/{made.json['mailbox']['id']}"
    assert "password" not in call("GET", box).json and "hash" not in call("GET", box).text
    assert call("PATCH", box, {"quota": "1.5G"}).json["display_name"] == "Bert"
    assert call("POST", f"{box}/disable").json["active"] is False
    assert call("POST", f"{box}/enable").json["active"] is True
    assert call("POST", f"{box}/password", {"password": PASSWORD}).json["password"] is None
    assert call("POST", f"{box}/password", {}).json["password"]

    alias = call("POST", "/aliases", {"source": "@new.example", "destinations": ["bert@new.example"]})
    way = f"/aliases/{alias.json[0]['id']}"
    assert alias.json[0]["may_send"] is True
    assert call("PATCH", way, {"may_send": False}).json["may_send"] is False
    assert call("POST", f"{way}/disable").json["active"] is False
    assert call("DELETE", box).status_code == 409, "an alias leads there"
    assert call("DELETE", way).status_code == 204 and call("GET", way).status_code == 404
    assert call("DELETE", box).status_code == 204 and call("GET", box).status_code == 404
    assert [row["email"] for row in call("GET", "/mailboxes?deleted=1&q=bert").json["items"]] == [
        "bert@new.example"
    ]
    assert call("POST", f"{box}/restore").json["active"] is True
    assert call("DELETE", box).status_code == 204 and call("POST", f"{box}/erase").status_code == 204
    assert call("POST", f"{at}/disable").json["active"] is False
    assert call("DELETE", at).status_code == 204
    with filled.transaction() as session:
        assert actions(session)[-3:] == ["mailbox.erase", "domain.disable", "domain.delete"]
        actor = session.scalars(select(AuditEntry.actor).order_by(AuditEntry.id.desc())).first()
    assert actor == f"{ADMIN_EMAIL} (token test)"
    newest = call("GET", "/audit?action=domain.delete").json["items"][0]
    assert newest["subject"] == "new.example" and newest["at"].endswith("+00:00")


def test_lists_have_pages_and_a_search(app: Flask, filled: Database) -> None:
    call = Program(app, token(filled))
    assert call("GET", "/mailboxes").json["total"] == 2
    found = call("GET", "/mailboxes?q=foreign").json
    assert (found["total"], found["items"][0]["email"]) == (1, f"anna@{FOREIGN}")
    assert call("GET", "/domains?q=own").json["total"] == 1
    assert call("GET", "/aliases?q=info@own").json["items"][0]["destination"] == "anna@own.example"
    assert call("GET", "/mailboxes?page=2").json["items"] == []
    for path in ("/mailboxes?q=Anna@own.example", "/aliases?q=info@own.example", "/domains?q=own.example"):
        assert call("GET", f"{path}&exact=1").json["total"] == 1, path
        assert call("GET", f"{path[:-2]}&exact=1").json["total"] == 0, path
    gone = "/mailboxes?q=gone@own.example&exact=1"
    assert (call("GET", gone).json["total"], call("GET", f"{gone}&deleted=1").json["total"]) == (0, 1)


def test_mail_is_listed_within_the_domains_that_the_token_and_its_admin_reach(
    app: Flask, filled: Database
) -> None:
    for email, domain in ((DOMAIN_ADMIN_EMAIL, ""), (ADMIN_EMAIL, "own.example")):
        found = Program(app, token(filled, ("mail:read",), email, domain))("GET", "/mail").json
        assert [each["recipient"] for each in found["items"]] == ["anna@own.example"]
    assert len(Program(app, token(filled, ("mail:read",)))("GET", "/mail").json["items"]) == 2


def test_a_change_of_what_was_changed_meanwhile_is_refused(app: Flask, filled: Database) -> None:
    call = Program(app, token(filled))
    box = f"/mailboxes/{number(filled, 'mailbox_id', 'own.example')}"
    seen = call("GET", box).headers["ETag"]
    assert call("PATCH", box, {"quota": "2G"}, **{"If-Match": seen}).status_code == 200
    for method, path, body in (
        ("PATCH", box, {"quota": "3G"}),
        ("DELETE", box, None),
        ("POST", f"{box}/disable", None),
    ):
        answer = call(method, path, body, **{"If-Match": seen})
        assert answer.status_code == 412 and answer.json["problems"][0]["field"] == "If-Match", path
    assert call("GET", box).json["quota"] == "2G"


@pytest.mark.parametrize(
    ("method", "path", "body", "field"),
    [
        ("POST", "/mailboxes", {"email": "x@own.example", "password_hash": "{PLAIN}x"}, "password_hash"),
        ("POST", "/mailboxes", {"email": "x@own.example", "domain_id": 1}, "domain_id"),
        ("PATCH", "/mailboxes/1", {"email": "x@own.example"}, "email"),
        ("PATCH", "/domains/1", {"name": "x.example"}, "name"),
        ("POST", "/domains", {"name": "x.example", "active": False}, "active"),
        ("POST", "/aliases", {"source": "x@own.example", "destinations": ["y"], "id": 3}, "id"),
    ],
)
def test_a_field_that_is_not_offered_is_refused_and_nothing_changes(
    app: Flask, filled: Database, method: str, path: str, body: object, field: str
) -> None:
    with filled.transaction() as session:
        before = actions(session)
    answer = Program(app, token(filled))(method, path, body)
    assert answer.status_code == 422 and [each["field"] for each in answer.json["problems"]] == [field]
    with filled.transaction() as session:
        assert actions(session) == [*before, "token.add"]


@pytest.mark.parametrize(
    ("method", "path", "fix"),
    [
        (
            "GET",
            "/mailboxes?deletd=1",
            "Use some of: active, cursor, deleted, domain, exact, limit, page, q, sort.",
        ),
        ("GET", "/mailboxes/1?deletd=1", "Send none."),
        ("POST", "/domains?deletd=1", "Send none."),
        ("POST", "/import?deletd=1", "Use some of: dry_run."),
    ],
)
def test_a_parameter_that_is_not_offered_is_refused_and_nothing_changes(
    app: Flask, filled: Database, method: str, path: str, fix: str
) -> None:
    answer = Program(app, token(filled))(method, path, {"name": "new.example"} if method == "POST" else None)
    assert answer.status_code == 422
    assert answer.json["problems"] == [
        {"field": "deletd", "value": "1", "wrong": "There is no such parameter.", "fix": fix}
    ]
    with filled.transaction() as session:
        assert actions(session)[-1] == "token.add"


def test_every_wrong_field_is_named_with_its_value_and_how_to_fix_it(app: Flask, filled: Database) -> None:
    call = Program(app, token(filled))
    answer = call("POST", "/mailboxes", {"email": "x", "quota": "lots", "password": "sh0rt-pass"})
    assert (answer.status_code, answer.mimetype) == (422, "application/problem+json")
    told = {each["field"]: each for each in answer.json["problems"]}
    assert set(told) == {"email", "quota", "password"} and "sh0rt-pass" not in answer.text
    assert told["quota"] == {
        "field": "quota",
        "value": "lots",
        "wrong": "This is not a size.",
        "fix": "Use a number and a unit: 500M, 2G or 1.5T.",
    }


@pytest.mark.parametrize(
    ("method", "path", "status"), [("GET", "/nothing", 404), ("GET", "/mailboxes/99999999999", 404)]
)
def test_what_is_not_there_is_answered_as_json_too(
    app: Flask, filled: Database, method: str, path: str, status: int
) -> None:
    answer = Program(app, token(filled))(method, path)
    assert answer.status_code == answer.json["status"] == status and answer.json["problems"][0]["fix"]


def test_the_document_names_every_operation_and_how_to_log_in(app: Flask) -> None:
    document = Program(app)("GET", "/openapi.json").json
    named = {
        (method.upper(), path)
        for path, item in document["paths"].items()
        for method in item
        if method != "parameters"
    }
    expected = {
        (method, "/api/v1" + re.sub(r"<int:(\w+)>", r"{\1}", path)) for _, method, path in operations(app)
    }
    assert named == expected
    assert document["components"]["securitySchemes"]["bearer"]["scheme"] == "bearer"
    assert set(document["components"]["responses"]["DEFAULT_ERROR"]["content"]) == {
        "application/problem+json"
    }
