"""What public DNS says of a domain's records: left by mailctl, shown on the pages of domains."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from conftest import make_schema
from flask import Flask
from support import Browser, MakeApp

from usermgmt.api.access import INSIDE
from usermgmt.database import Database
from usermgmt.models import Domain, DomainDns, utc_now
from usermgmt.parts import EXTENSION
from usermgmt.settings import Settings

SPF, DMARC = "v=spf1 include:relay.example ~all", "v=DMARC1; p=quarantine"
EDGE = f"""
zone: example.org
dns:
  - {{type: TXT, name: example.org, content: "{SPF}"}}
  - {{type: TXT, name: _dmarc.example.org, content: "{DMARC}"}}
email_routing:
  mx: [route1.example]
"""
PATH = "/domains/1/dns"


def record(kind: str, name: str, content: str, state: str, *found: str) -> dict[str, Any]:
    return {"type": kind, "name": name, "content": content, "state": state, "found": list(found)}


LOOK = [
    record("MX", "example.org", "route1.example", "ok", "route1.example"),
    record("TXT", "example.org", SPF, "differs", "v=spf1 <b>-all"),
    record("TXT", "_dmarc.example.org", DMARC, "missing"),
    record("TXT", "s2._domainkey.example.org", "v=DKIM1; k=rsa; p=KEY", "unasked"),
]


@pytest.fixture
def app(make_app: MakeApp, settings: Settings, tmp_path: Path) -> Flask:
    """With the file of a zone, and its domain."""
    (tmp_path / "edge.yml").write_text(EDGE)
    app = make_app(replace(settings, edge_file=tmp_path / "edge.yml"))
    make_schema(app.extensions[EXTENSION].database)
    assert call(app, "POST", "/domains", {"name": "example.org"})["version"] == 1
    return app


@pytest.fixture
def database(app: Flask) -> Database:
    found: Database = app.extensions[EXTENSION].database
    return found


@pytest.fixture
def browser(app: Flask) -> Browser:
    browser = Browser(app)
    browser.log_in()
    return browser


def call(app: Flask, method: str, path: str, body: object = None) -> Any:
    """As the command line does, which mailctl calls."""
    client = app.test_client(use_cookies=False)
    options: dict[str, Any] = {"base_url": "http://127.0.0.1", "environ_overrides": {INSIDE: True}}
    answer = client.open(f"/api/v1{path}", method=method, json=body, **options)
    return answer.json if answer.data else answer.status_code


def look(app: Flask, *records: dict[str, Any]) -> None:
    assert call(app, "PUT", PATH, {"records": list(records or LOOK)}) == 204


def test_before_a_look_the_records_have_no_state_and_the_page_says_who_looks(
    app: Flask, browser: Browser
) -> None:
    found = call(app, "GET", PATH)
    assert found["managed"] and found["checked_at"] is None
    assert {row["state"] for row in found["records"]} == {""}
    assert found["records"][-1]["name"] == "SELECTOR._domainkey.example.org"
    page = browser.get("/domains/1").text
    assert "Not checked yet. This" in page and "mailctl domain dns example.org" in page
    assert "make dkim-status" in page and "Published" not in page


def test_the_page_says_of_each_record_what_dns_has(app: Flask, browser: Browser) -> None:
    look(app)
    assert call(app, "GET", PATH)["records"] == LOOK
    page = browser.get("/domains/1").text
    states = ("Published", "Different", "Missing", "DNS could not be asked")
    assert [page.count(f">{state}</span>") for state in states] == [1, 1, 1, 1]
    assert "DNS says:" in page and "v=spf1 &lt;b&gt;-all" in page
    assert '<code class="copy">v=DKIM1; k=rsa; p=KEY</code>' in page and "SELECTOR" not in page


def test_a_domain_without_a_key_is_told_how_to_make_one(app: Flask, browser: Browser) -> None:
    look(app, record("TXT", "SELECTOR._domainkey.example.org", "", "no_key"))
    page = browser.get("/domains/1").text
    assert "There is no key" in page and "dkim-key example.org" in page


def test_a_record_that_was_changed_since_is_not_said_to_be_published(
    app: Flask, browser: Browser, tmp_path: Path
) -> None:
    look(app)
    (tmp_path / "edge.yml").write_text(EDGE.replace("route1", "route9"))
    page = browser.get("/domains/1").text
    assert "Not checked yet" in page and "Published" not in page


@pytest.mark.parametrize(
    ("age", "language", "said"),
    [
        (timedelta(hours=2), "en", "Checked 2 hours ago ("),
        (timedelta(hours=2), "ja", "2 時間前に確認しました"),
        (timedelta(days=3), "en", "Checked 3 days ago ("),
    ],
)
def test_the_page_says_how_long_ago_the_look_was_and_when_that_is_too_long(
    app: Flask,
    browser: Browser,
    database: Database,
    age: timedelta,
    language: str,
    said: str,
) -> None:
    look(app)
    with database.transaction() as session:
        looked = session.get(DomainDns, 1)
        assert looked
        looked.checked_at = utc_now() - age
    browser.post("/display", language=language)
    page = browser.get("/domains/1").text
    assert said in page and ("This result is old" in page) is (age > timedelta(days=2))


def test_the_list_counts_what_is_wrong_and_only_that(app: Flask, browser: Browser) -> None:
    look(app)
    assert "Check DNS: 3" in browser.get("/domains").text
    look(app, LOOK[0])
    assert "Check DNS" not in browser.get("/domains").text


def test_a_look_is_no_change_of_the_domain(app: Flask, database: Database) -> None:
    look(app)
    look(app, LOOK[0])
    with database.transaction() as session:
        domain = session.get(Domain, 1)
        assert domain and domain.version == 1, "who has the form open would be refused"


def test_a_state_that_nobody_knows_is_refused(app: Flask) -> None:
    body = {"records": [record("MX", "example.org", "route1.example", "fine")]}
    assert call(app, "PUT", PATH, body)["status"] == 422
