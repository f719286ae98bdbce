"""How requests come in: cookies of this host only, host names, and whose address nginx names."""

from __future__ import annotations

from dataclasses import replace

import pytest
from conftest import make_schema
from flask import Flask
from sqlalchemy import select
from support import ADMIN_EMAIL, ADMIN_PASSWORD, PROXY, Browser, MakeApp

from usermgmt.database import Database
from usermgmt.models import LoginAttempt
from usermgmt.parts import EXTENSION
from usermgmt.settings import Settings


@pytest.mark.parametrize(("secure", "name"), [(True, "__Host-usermgmt"), (False, "usermgmt")])
def test_only_this_host_can_set_the_session_cookie_unless_local_use_has_no_tls(
    make_app: MakeApp, settings: Settings, secure: bool, name: str
) -> None:
    app = make_app(replace(settings, cookie_secure=secure))
    make_schema(app.extensions[EXTENSION].database)
    pair, *attributes = Browser(app).get("/login").headers["Set-Cookie"].split("; ")
    assert pair.startswith(f"{name}=")
    # Without Domain, and with the path /: what browsers demand of the prefix.
    assert {each for each in attributes if not each.startswith(("Expires=", "Max-Age="))} == {
        "HttpOnly",
        "Path=/",
        "SameSite=Lax",
        *(["Secure"] if secure else []),
    }


def test_a_file_that_comes_late_does_not_bring_an_older_session_back(browser: Browser) -> None:
    assert "Set-Cookie" in browser.get("/account/passkeys/new").headers
    assert "Set-Cookie" not in browser.get("/static/icon.svg").headers


@pytest.mark.parametrize("prefix", ["/admin", "/"])
def test_nobody_moves_the_pages_below_a_path(stranger: Browser, prefix: str) -> None:
    stranger.headers = {"X-Forwarded-Prefix": prefix}
    assert stranger.get("/").headers["Location"] == "/login"


@pytest.mark.parametrize("path", ["/", "/login", "/static/style.css", "/nothing"])
@pytest.mark.parametrize(
    "host", ["mail.example.org", "admin.example.org.evil.example", "127.0.0.1.evil.example"]
)
def test_a_foreign_host_name_is_refused_in_plain_words(stranger: Browser, path: str, host: str) -> None:
    answer = stranger.get(path, Host=host)
    assert (answer.status_code, answer.mimetype) == (400, "text/plain")
    assert "Set-Cookie" not in answer.headers and host not in answer.text
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]


def test_a_forwarded_host_name_is_not_believed(stranger: Browser) -> None:
    stranger.headers = {"X-Forwarded-Host": "evil.example"}
    assert stranger.get("/login").status_code == 200
    assert "evil.example" not in stranger.get("/login").text


def test_the_container_can_ask_itself_for_its_health(stranger: Browser) -> None:
    assert stranger.get("/ready", Host="127.0.0.1:8080").status_code == 200


@pytest.mark.parametrize(
    ("peer", "noted"),
    [(PROXY, "203.0.113.5"), ("192.0.2.99", "192.0.2.99")],
    ids=["nginx is believed", "a neighbour is not"],
)
def test_an_attempt_has_the_address_that_nginx_names(
    app: Flask, web_database: Database, peer: str, noted: str
) -> None:
    client = Browser(app, REMOTE_ADDR=peer)
    client.headers = {"X-Forwarded-For": "203.0.113.5"}
    client.log_in()
    with web_database.transaction() as session:
        entry = session.scalars(select(LoginAttempt)).one()
    assert entry.client_address == noted


def test_behind_tls_a_form_from_another_host_of_the_domain_is_refused(
    make_app: MakeApp, settings: Settings
) -> None:
    app = make_app(replace(settings, cookie_secure=True, admin_host="admin.example.org"))
    make_schema(app.extensions[EXTENSION].database)
    browser = Browser(app)
    browser.client = app.test_client()
    browser.headers = {
        "Host": "admin.example.org",
        "X-Forwarded-For": "203.0.113.5",
        "X-Forwarded-Proto": "https",
        "Referer": "https://mail.example.org/",
    }
    browser.get("/login")
    assert browser.post("/login", email=ADMIN_EMAIL, password=ADMIN_PASSWORD).status_code == 400
    browser.headers["Referer"] = "https://admin.example.org/login"
    assert browser.post("/login", email=ADMIN_EMAIL, password=ADMIN_PASSWORD).status_code == 303
