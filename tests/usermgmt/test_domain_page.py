"""The page of one domain: limits, catch-all, DNS records; and what two people do to it at once."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from conftest import make_schema
from sqlalchemy import select
from support import PASSWORD, Browser, Directory, MakeApp

from usermgmt.database import Database
from usermgmt.models import Alias, Domain, Mailbox
from usermgmt.parts import EXTENSION
from usermgmt.passwords import Hasher
from usermgmt.services.audit import Actor
from usermgmt.services.dns import Record, records_of
from usermgmt.settings import Settings

EDGE = """
zone: example.org
dns:
  - {type: TXT, name: example.org, content: "v=spf1 include:relay.example ~all"}
  - {type: TXT, name: _dmarc.example.org, content: "v=DMARC1; p=none; rua=mailto:postmaster@example.org"}
  - {type: TXT, name: _mta-sts.example.org, content: "v=STSv1; id=1"}
  - {type: TXT, name: elsewhere.example, content: "not of this domain"}
  - {type: CNAME, name: k1._domainkey.example.org, content: k1.relay.example}
email_routing:
  mx: [route1.example, route2.example]
"""


@pytest.fixture
def edge(tmp_path: Path) -> Path:
    """A file as edge/edge.yml."""
    file = tmp_path / "edge.yml"
    file.write_text(EDGE)
    return file


@pytest.fixture
def filled(browser: Browser, web_database: Database, actor: Actor, hasher: Hasher) -> Browser:
    """example.org with two mailboxes, and an owner who looks at it."""
    with web_database.transaction() as session:
        made = Directory(session, actor, hasher)
        made.domain("example.org")
        for name in ("anna", "bert"):
            made.mailbox(f"{name}@example.org", password=PASSWORD)
    browser.get("/domains/1")
    return browser


def catch_all(database: Database) -> list[str]:
    """Who gets what nothing else takes."""
    with database.transaction() as session:
        query = select(Alias.destination).where(Alias.source == "@example.org")
        return list(session.scalars(query.order_by(Alias.destination)))


def test_limits_and_the_default_quota_are_changed_and_hold(filled: Browser) -> None:
    fields = {"default_quota": "2G", "most_mailboxes": "3", "most_aliases": "", "version": "1"}
    assert filled.post("/domains/1", **fields).status_code == 303
    page = filled.get("/domains/1").text
    assert 'value="2G"' in page and 'value="3"' in page
    assert filled.post("/mailboxes", email="chihiro@example.org", quota="").status_code == 201
    assert 'value="2G"' in filled.get("/mailboxes/3").text
    assert "all the mailboxes" in filled.post("/mailboxes", email="dora@example.org", quota="").text


def test_every_wrong_limit_is_named_and_what_was_entered_stays(filled: Browser) -> None:
    answer = filled.post("/domains/1", default_quota="much", most_mailboxes="-1", version="1")
    assert answer.status_code == 422
    assert "This is not a size." in answer.text and "This is not a number." in answer.text
    assert 'value="much"' in answer.text


def test_the_catch_all_is_set_changed_and_taken_away(filled: Browser, web_database: Database) -> None:
    anna, bert = "anna@example.org", "bert@example.org"
    for destinations, seen in ((f"{anna} {bert}", ""), (bert, f"{anna} {bert}"), ("", bert)):
        answer = filled.post("/domains/1/catch-all", destinations=destinations, seen=seen)
        assert answer.status_code == 303
        assert catch_all(web_database) == sorted(destinations.split())


def test_a_wrong_catch_all_changes_nothing_and_says_why(filled: Browser, web_database: Database) -> None:
    answer = filled.post("/domains/1/catch-all", destinations="anna@example.org x@elsewhere.example")
    assert answer.status_code == 422 and "The address is outside this server" in answer.text
    assert "x@elsewhere.example</textarea>" in answer.text and catch_all(web_database) == []


def test_of_two_people_who_set_the_catch_all_the_second_is_told(
    filled: Browser, web_database: Database
) -> None:
    filled.post("/domains/1/catch-all", destinations="anna@example.org", seen="")
    answer = filled.post("/domains/1/catch-all", destinations="bert@example.org", seen="")
    assert answer.status_code == 409 and catch_all(web_database) == ["anna@example.org"]
    assert "You had entered:" in answer.text and "anna@example.org</textarea>" in answer.text


@pytest.mark.parametrize(
    ("path", "first", "second", "table", "expected"),
    [
        ("/mailboxes/1", {"quota": "2G"}, {"quota": "3G", "display_name": "X"}, Mailbox, 2 * 1024**3),
        ("/domains/1", {"default_quota": "2G"}, {"default_quota": "3G"}, Domain, 2 * 1024**3),
    ],
)
def test_of_two_people_with_the_same_form_the_second_sees_both_values(
    filled: Browser,
    web_database: Database,
    path: str,
    first: dict[str, str],
    second: dict[str, str],
    table: type,
    expected: int,
) -> None:
    assert filled.post(path, **first, version="1").status_code == 303
    answer = filled.post(path, **second, version="1")
    assert answer.status_code == 409 and "Somebody else changed this meanwhile." in answer.text
    assert 'value="2G"' in answer.text and ">3G<" in answer.text and 'name="version" value="2"' in answer.text
    with web_database.transaction() as session:
        row = session.get(table, 1)
        assert (row.quota_bytes if table is Mailbox else row.default_quota_bytes) == expected
    assert filled.post(path, **second, version="2").status_code == 303


def test_the_records_of_the_zone_are_those_of_the_file(edge: Path) -> None:
    found = records_of("example.org", edge)
    assert found and found.managed
    assert [(record.type, record.name) for record in found.records] == [
        ("MX", "example.org"),
        ("MX", "example.org"),
        ("TXT", "example.org"),
        ("TXT", "_dmarc.example.org"),
        ("TXT", "_mta-sts.example.org"),
    ]


def test_another_domain_needs_the_same_without_what_only_the_zone_serves(edge: Path) -> None:
    found = records_of("example.net", edge)
    assert found and not found.managed
    # Its reports go to itself: for another domain, reporters would ask that one first.
    dmarc = "v=DMARC1; p=none; rua=mailto:postmaster@example.net"
    assert Record("TXT", "_dmarc.example.net", dmarc) in found.records
    assert not any("mta-sts" in record.name or record.type == "CNAME" for record in found.records)


@pytest.mark.parametrize("content", [None, "- a list", "zone: [", "\0"])
def test_without_a_readable_file_the_page_says_so(
    make_app: MakeApp, settings: Settings, tmp_path: Path, content: str | None
) -> None:
    file = tmp_path / "edge.yml"
    if content is not None:
        file.write_text(content)
    app = make_app(replace(settings, edge_file=file))
    make_schema(app.extensions[EXTENSION].database)
    browser = Browser(app)
    browser.log_in()
    browser.post("/domains", name="example.org")
    assert "cannot read here" in browser.get("/domains/1").text
    file.write_text(EDGE)
    assert "v=spf1 include:relay.example ~all" in browser.get("/domains/1").text
