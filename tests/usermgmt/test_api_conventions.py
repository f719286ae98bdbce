"""What programs expect of any API over HTTP: validators, parts of lists, statuses and headers."""

from __future__ import annotations

import re
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select
from support import Browser
from test_api import FOREIGN, Program, filled, number, token  # noqa: F401 - a fixture

from usermgmt.database import Database
from usermgmt.models import Admin, Mailbox, utc_now
from usermgmt.problem_json import KINDS, PAGE

API = "/api/v1"


@pytest.fixture
def call(app: Flask, filled: Database) -> Program:  # noqa: F811
    """A program that may do what a token can."""
    return Program(app, token(filled))


def add_mailboxes(database: Database, *names: str) -> None:
    """Mailboxes in own.example, without a hash."""
    with database.transaction() as session:
        domain = session.scalars(select(Mailbox.domain_id).where(Mailbox.email == "anna@own.example")).one()
        for name in names:
            address = f"{name}@own.example"
            session.add(Mailbox(domain_id=domain, email=address, password_hash="x", quota_bytes=len(name)))


def follow(call: Program, path: str) -> list[dict[str, Any]]:
    """The parts of a list, from its first to its last."""
    parts = []
    while path:
        answer = call("GET", path)
        assert answer.status_code == 200, answer.text
        following = answer.json["next"]
        assert answer.headers.get("Link") == (f'<{following}>; rel="next"' if following else None)
        parts.append(answer.json)
        path = (following or "").removeprefix(API)
    return parts


def test_what_did_not_change_is_not_sent_again(call: Program, filled: Database) -> None:  # noqa: F811
    box = f"/mailboxes/{number(filled, 'mailbox_id', 'own.example')}"
    for path in (box, "/mailboxes", "/export"):
        seen = call("GET", path)
        known = {"If-None-Match": seen.headers["ETag"]}
        again = call("GET", path, **known)
        assert (again.status_code, again.data) == (304, b"") and again.headers["ETag"] == seen.headers["ETag"]
        head = call("HEAD", path)
        assert (head.data, head.content_length) == (b"", len(seen.data))
        call("PATCH", box, {"quota": f"{len(path)}G"})
        assert call("GET", path, **known).status_code == 200, path


def test_a_log_in_is_news_to_readers_and_no_conflict_for_whoever_changes(
    call: Program,
    filled: Database,  # noqa: F811
) -> None:
    box = f"/mailboxes/{number(filled, 'mailbox_id', 'own.example')}"
    seen = call("GET", box).headers["ETag"]
    with filled.engine.begin() as connection:
        connection.execute(Mailbox.__table__.update().values(last_login_at=utc_now()))
    assert call("GET", box, **{"If-None-Match": seen}).status_code == 200
    assert call("PATCH", box, {"quota": "2G"}, **{"If-Match": seen}).status_code == 200


@pytest.mark.parametrize("sort", ["email", "-email", "-quota", "display_name", "-created_at"])
def test_parts_of_a_list_show_every_row_once_whatever_is_added_meanwhile(
    call: Program,
    filled: Database,  # noqa: F811
    sort: str,
) -> None:
    add_mailboxes(filled, "a1", "b2", "c3", "x9")
    first = call("GET", f"/mailboxes?limit=2&sort={sort}")
    before = [row["id"] for part in follow(call, f"/mailboxes?limit=2&sort={sort}") for row in part["items"]]
    add_mailboxes(filled, "a0", "z9")
    rest = follow(call, first.json["next"].removeprefix(API))
    after = [row["id"] for part in [first.json, *rest] for row in part["items"]]
    assert [each for each in after if each in before] == before and len(after) == len({*after})
    assert first.json["total"] == len(before) == 6 and first.json["pages"] == 3


def test_every_list_goes_on_to_its_end(call: Program) -> None:
    for number_of in range(3):
        call("POST", "/aliases", {"source": f"a{number_of}@own.example", "destinations": ["x@else.example"]})
    for path in ("/domains", "/mailboxes", "/aliases", "/audit", "/mail?outcome=all"):
        separator = "&" if "?" in path else "?"
        whole = call("GET", path).json["items"]
        parts = follow(call, f"{path}{separator}limit=1")
        assert len(whole) > 1 and [row for part in parts for row in part["items"]] == whole, path


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=501", "cursor=x", "cursor=WzFd", "sort=nothing", "active=perhaps"]
)
def test_a_part_that_cannot_be_is_refused(call: Program, query: str) -> None:
    answer = call("GET", f"/mailboxes?{query}")
    assert answer.status_code == 422 and answer.json["problems"][0]["field"] == query.partition("=")[0]


def test_a_cursor_of_another_list_is_refused(call: Program) -> None:
    cursor = call("GET", "/domains?limit=1").json["next"].rpartition("=")[2]
    assert call("GET", f"/mailboxes?cursor={cursor}").status_code == 422


def test_mailboxes_can_be_chosen_by_domain_and_state(call: Program, filled: Database) -> None:  # noqa: F811
    box = number(filled, "mailbox_id", "own.example")
    assert call("POST", f"/mailboxes/{box}/disable").status_code == 200

    def found(query: str) -> list[str]:
        return [row["email"] for row in call("GET", f"/mailboxes?{query}").json["items"]]

    assert found("domain=Own.example") == ["anna@own.example"] == found("active=false")
    assert found("active=true") == [f"anna@{FOREIGN}"] and found("domain=nowhere.example") == []


def test_what_is_added_says_where_it_is(call: Program) -> None:
    for path, body in (
        ("/domains", {"name": "new.example"}),
        ("/mailboxes", {"email": "new@own.example"}),
        ("/aliases", {"source": "@own.example", "destinations": ["anna@own.example"]}),
    ):
        made = call("POST", path, body)
        assert made.status_code == 201, path
        there = call("GET", made.headers["Location"].removeprefix(API))
        assert there.status_code == 200 and (body.get("name") or "own.example") in there.text, path


def test_a_method_that_is_not_there_is_answered_with_those_that_are(call: Program) -> None:
    refused = call("PUT", "/domains")
    allowed = call("OPTIONS", "/domains")
    assert (refused.status_code, allowed.status_code, allowed.data) == (405, 200, b"")
    expected = {"GET", "HEAD", "POST", "OPTIONS"}
    assert {*refused.headers["Allow"].split(", ")} == {*allowed.headers["Allow"].split(", ")} == expected


@pytest.mark.parametrize(
    ("method", "path", "body", "kind"),
    [
        ("POST", "/domains", {"name": "own.example"}, "already-exists"),
        ("POST", "/mailboxes", {"email": "Anna@own.example"}, "already-exists"),
        ("POST", "/mailboxes", {"email": "gone@own.example"}, "already-exists"),
        ("POST", "/mailboxes", {"email": "info@own.example"}, "already-exists"),
        (
            "POST",
            "/aliases",
            {"source": "info@own.example", "destinations": ["anna@own.example"]},
            "already-exists",
        ),
        ("POST", "/mailboxes", {"email": "anna@own.example", "quota": "lots"}, "invalid-input"),
        ("DELETE", "/domains/1", None, "in-use"),
    ],
)
def test_what_is_there_already_or_needed_is_a_conflict_and_no_wrong_input(
    call: Program, method: str, path: str, body: object, kind: str
) -> None:
    answer = call(method, path, body)
    assert answer.status_code == (422 if kind == "invalid-input" else 409)
    assert answer.json["type"] == f"{PAGE}#{kind}" and answer.mimetype == "application/problem+json"


def test_another_media_type_is_refused_with_the_right_one(call: Program, filled: Database) -> None:  # noqa: F811
    def send(path: str, media_type: str) -> Any:
        headers = {**call.headers, "Content-Type": media_type}
        return call.client.post(f"{API}{path}", data='{"name": "new.example"}', headers=headers)

    for path, wrong, right in (
        ("/domains", "text/plain", "application/json"),
        ("/domains", "application/x-www-form-urlencoded", "application/json"),
        ("/import", "application/json", "text/csv"),
    ):
        answer = send(path, wrong)
        assert (answer.status_code, answer.headers["Accept"]) == (415, right), path
        assert answer.json["type"] == "about:blank" and right in answer.json["detail"]
    assert send("/domains", "application/json; charset=utf-8").status_code == 201
    for path, accepted, status in (
        ("/domains", "text/html", 406),
        ("/export", "application/json", 406),
        ("/export", "text/csv", 200),
        ("/domains", "text/html, application/*;q=0.5", 200),
    ):
        assert call("GET", path, Accept=accepted).status_code == status, (path, accepted)


def test_a_problem_says_what_it_is_about_and_its_type_leads_to_a_page(app: Flask, call: Program) -> None:
    answer = call("POST", "/domains", {"name": "nodots"}).json
    assert answer["instance"] == "/api/v1/domains" and answer["detail"].startswith("name: This is not")
    assert call("GET", "/domains?x=%20%C3%BC").json["instance"] == "/api/v1/domains?x=%20%C3%BC"
    page = Browser(app).get(PAGE)
    assert page.status_code == 200 and {*re.findall(r'<section id="([\w-]+)"', page.text)} == {
        kind.name for kind in KINDS
    }


def test_admins_are_administered_inside_the_container_alone(app: Flask, filled: Database) -> None:  # noqa: F811
    from usermgmt.inside import INSIDE

    def inside(method: str, path: str, body: object = None) -> Any:
        environ = {INSIDE: True}
        return app.test_client().open(f"{API}{path}", method=method, json=body, environ_overrides=environ)

    made = inside("POST", "/admins", {"email": "d@x.example", "role": "domain-admin", "domains": [FOREIGN]})
    assert made.status_code == 201 and len(made.json["password"]) > 20
    at = made.headers["Location"].removeprefix(API)
    assert inside("GET", at).json["domains"] == [FOREIGN]
    assert inside("POST", "/admins", {"email": "d@x.example"}).status_code == 409
    assert inside("POST", f"{at}/disable").json["active"] is False
    with filled.transaction() as session:
        assert session.scalars(select(Admin).where(Admin.email == "d@x.example")).one().sessions_ended_at
    assert inside("POST", f"{at}/reset", {}).json["admin"]["active"] is True
    assert inside("PATCH", at, {"role": "owner"}).json["domains"] == []
    assert inside("DELETE", at).status_code == 204 and inside("GET", at).status_code == 404
    (owner,) = inside("GET", "/admins?q=admin@example.org&exact=true").json["items"]
    for method, path in (("POST", f"/admins/{owner['id']}/disable"), ("DELETE", f"/admins/{owner['id']}")):
        assert inside(method, path).json["type"] == f"{PAGE}#in-use"
