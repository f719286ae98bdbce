"""Calendars and address books in a real Radicale: app passwords of phones, and a person's page."""

from __future__ import annotations

import re
from base64 import b64encode
from dataclasses import replace

import pytest
from flask import Flask
from support import PROXY
from test_mail_reports import ANNA, BERT, reader

from usermgmt.database import Database
from usermgmt.mail import radicale
from usermgmt.models import LoginAttempt, Mailbox
from usermgmt.services import calendars, self_service
from usermgmt.services.audit import COMMAND_LINE
from usermgmt.settings import Settings

PASSWORD = "correct horse battery"


@pytest.fixture
def settings(settings: Settings, dav_server: int) -> Settings:
    """With a Radicale."""
    return replace(settings, dav_host="127.0.0.1")


def owner(database: Database, address: str) -> str:
    """What Radicale calls the owner of a mailbox."""
    with database.transaction() as session:
        return calendars.person(session.query(Mailbox).filter_by(email=address).one())


def app_password(database: Database, address: str) -> str:
    """A new one."""
    with database.transaction() as session:
        mailbox = session.query(Mailbox).filter_by(email=address).one()
        return self_service.add_app_password(session, COMMAND_LINE, mailbox, "Phone")


def shown(app: Flask, address: str, password: str, client: str = "203.0.113.7", peer: str = PROXY) -> str:
    """Whom nginx is told that it is: the status, or what Radicale calls them."""
    word = b64encode(f"{address}:{password}".encode()).decode()
    answer = app.test_client().get(
        "/dav-log-in",
        base_url="http://account.localhost",
        headers={"Authorization": f"Basic {word}", "X-Forwarded-For": client},
        environ_overrides={"REMOTE_ADDR": peer},
    )
    return answer.headers.get("X-Person") or str(answer.status_code)


def wrong(database: Database) -> int:
    """How many wrong passwords are remembered."""
    with database.transaction() as session:
        return session.query(LoginAttempt).filter(LoginAttempt.outcome == "wrong").count()


def test_an_app_password_says_who_it_is_and_nothing_else_does(app: Flask, mailboxes: Database) -> None:
    password = app_password(mailboxes, ANNA)
    assert shown(app, ANNA, password) == owner(mailboxes, ANNA)
    assert shown(app, ANNA.upper(), password) == owner(mailboxes, ANNA)
    # Bert's address with hers, the password of the pages, and whoever does not come by nginx.
    assert shown(app, BERT, password) == "401"
    assert shown(app, ANNA, PASSWORD) == "401"
    assert shown(app, ANNA, password, peer="192.0.2.99") == "404"
    with mailboxes.transaction() as session:
        mailbox = session.query(Mailbox).filter_by(email=ANNA).one()
        assert [each.last_used_at is not None for each in self_service.list_app_passwords(session, mailbox)]
        mailbox.active = False
    assert shown(app, ANNA, password) == "401"


def test_guesses_count_with_those_of_mail_programs_and_the_same_one_once(
    app: Flask, mailboxes: Database
) -> None:
    for guess in ("a", "b", "b", "b", "c"):
        assert shown(app, ANNA, guess) == "401"
    assert wrong(mailboxes) == 3
    for guess in "defghi":
        shown(app, ANNA, guess)
    assert wrong(mailboxes) == 5, "beyond the limit nothing more is written"
    right = app_password(mailboxes, ANNA)
    assert shown(app, ANNA, right) == owner(mailboxes, ANNA), "what is random is not guessed"


def test_a_person_sees_adds_and_deletes_what_is_theirs(app: Flask, mailboxes: Database) -> None:
    browser, other = reader(app, ANNA), reader(app, BERT)
    first = browser.get("/account/calendars").text
    assert first.count("<td data-label") == 2 and "http://account.localhost/dav/" in first
    assert browser.post("/account/calendars", name="Work & <play>", kind="calendar").status_code == 303
    text = browser.get("/account/calendars").text
    assert "Work &amp; &lt;play&gt;" in text and "Work" not in other.get("/account/calendars").text
    [key] = re.findall(r"/account/calendars/([^/]+)/delete[^<]*<span[^<]*> Work", text)
    assert other.get(f"/account/calendars/{key}/delete").status_code == 404
    assert other.post(f"/account/calendars/{key}/delete").status_code == 404
    assert "Work &amp;" in browser.get(f"/account/calendars/{key}/delete").text
    assert browser.post(f"/account/calendars/{key}/delete").status_code == 303
    assert key not in browser.get("/account/calendars").text


@pytest.mark.parametrize(("name", "kind"), [("", "calendar"), ("x" * 61, "calendar"), ("fine", "diary")])
def test_a_wrong_name_or_kind_is_refused(app: Flask, mailboxes: Database, name: str, kind: str) -> None:
    browser = reader(app, ANNA)
    before = browser.get("/account/calendars").text.count("/delete")
    refused = browser.post("/account/calendars", name=name, kind=kind)
    assert refused.status_code == 422 and refused.text.count("/delete") == before


def test_while_radicale_is_down_the_page_says_so(
    app: Flask, mailboxes: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    browser = reader(app, ANNA)
    browser.get("/account/calendars")
    monkeypatch.setattr(radicale, "PORT", 9)
    assert browser.get("/account/calendars").status_code == 503
    failed = browser.post("/account/calendars", name="Work", kind="calendar")
    assert failed.status_code == 503 and "do not answer now" in failed.text


def test_a_server_without_calendars_has_no_such_pages(
    make_app: object, settings: Settings, mailboxes: Database
) -> None:
    app = make_app(replace(settings, dav_host=""))  # type: ignore[operator]
    assert shown(app, ANNA, PASSWORD) == "404"
