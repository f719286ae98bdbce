"""Logging in by a passkey alone: who gets in, and all the ways not to."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from flask import Flask
from soft_passkey import Device, options_of
from sqlalchemy import select, update
from support import ACCOUNT_SITE, ADMIN_SITE, PASSWORD, Browser, Directory
from test_oidc import Person

from usermgmt.database import Database
from usermgmt.models import Admin, LoginAttempt, Mailbox, Passkey, utc_now
from usermgmt.passwords import Hasher
from usermgmt.services import passkeys
from usermgmt.services.audit import COMMAND_LINE
from usermgmt.services.mailboxes import set_mailbox_active

ANNA, ORIGIN = "anna@example.org", f"http://{ACCOUNT_SITE}"


def add_passkey(browser: Browser, device: Device) -> None:
    """On the page of whoever is logged in."""
    answer = device.make(options_of(browser.get("/account/passkeys/new").text))
    assert browser.post("/account/passkeys", name="Phone", credential=answer).status_code == 200


@pytest.fixture
def device(app: Flask, web_database: Database, hasher: Hasher) -> Device:
    """anna@example.org has a mailbox and this passkey."""
    Browser(app).get("/login")
    with web_database.transaction() as session:
        made = Directory(session, COMMAND_LINE, hasher)
        made.domain("example.org")
        made.mailbox(ANNA)
    anna, phone = Browser(app, ACCOUNT_SITE), Device(ORIGIN)
    anna.log_in(ANNA, PASSWORD)
    add_passkey(anna, phone)
    return phone


@pytest.fixture
def stranger(app: Flask) -> Person:
    """A browser that is logged in nowhere."""
    return Person(app, ACCOUNT_SITE)


def enter(browser: Browser, device: Device, **changed: str) -> int:
    """The status of a log-in: 303 leads in, 401 is refused."""
    asked = {**options_of(browser.get("/login").text), **changed}
    answer = browser.post("/login/passkey", credential=device.use(asked))
    inside = browser.get("/account").status_code == 200
    assert inside is (answer.status_code == 303)
    return answer.status_code


def test_a_passkey_alone_logs_in_without_a_second_step_and_is_in_the_list_of_log_ins(
    device: Device, stranger: Person
) -> None:
    asked = options_of(stranger.get("/login").text)
    assert asked["userVerification"] == "required" and not asked.get("allowCredentials")
    assert enter(stranger, device) == 303
    assert "Passkey" in stranger.get("/account").text


def test_a_new_passkey_is_kept_by_the_device_under_the_account(device: Device, stranger: Person) -> None:
    enter(stranger, device)
    made = options_of(stranger.get("/account/passkeys/new").text)
    assert made["authenticatorSelection"]["residentKey"] == "preferred"
    assert made["excludeCredentials"] and made["user"]["id"] == device.user


def test_who_came_from_the_webmail_gets_back_there_by_a_passkey(device: Device, stranger: Person) -> None:
    assert stranger.ask().headers["Location"] == "/login"
    asked = options_of(stranger.get("/login").text)
    answer = stranger.post("/login/passkey", credential=device.use(asked))
    assert answer.headers["Location"].startswith("/oidc/authorize?")
    assert stranger.tokens()["access_token"]


def test_an_admin_logs_in_by_passkey_at_their_own_site(browser: Browser, app: Flask) -> None:
    phone = Device(f"http://{ADMIN_SITE}")
    add_passkey(browser, phone)
    asked = options_of((again := Browser(app)).get("/login").text)
    assert again.post("/login/passkey", credential=phone.use(asked)).headers["Location"] == "/"


def test_a_device_that_did_not_recognise_its_person_is_a_second_step_only(
    device: Device, stranger: Person
) -> None:
    device.verifies = False
    assert enter(stranger, device) == 401
    assert stranger.log_in(ANNA, PASSWORD).headers["Location"] == "/login/second"
    answer = device.use(options_of(stranger.get("/login/second").text))
    assert stranger.post("/login/second", credential=answer).headers["Location"] == "/account"


def another_origin(device: Device) -> None:
    """A page that looks like ours asked for it."""
    device.origin = "https://account.examp1e.org"


def another_key(device: Device) -> None:
    """Somebody else's device says that it is this passkey."""
    device.key = Device(ORIGIN).key


def another_person(device: Device) -> None:
    """The passkey of one mailbox, for another."""
    device.user = "bWFpbGJveDoy"  # mailbox:2


def unknown(device: Device) -> None:
    """Nobody's passkey."""
    device.credential_id = b"nobody's"


@pytest.mark.parametrize("attack", [another_origin, another_key, another_person, unknown])
def test_what_is_not_this_passkey_for_this_site_opens_nothing(
    device: Device, stranger: Person, web_database: Database, attack: Callable[[Device], None]
) -> None:
    attack(device)
    assert enter(stranger, device) == 401
    with web_database.transaction() as session:
        rows = list(session.scalars(select(LoginAttempt).where(LoginAttempt.via == "passkey")))
    assert not rows, "what opens nothing fills no table"


def test_a_challenge_of_ones_own_and_one_for_another_site_are_refused(
    device: Device, stranger: Person
) -> None:
    assert enter(stranger, device, challenge="AAAA") == 401
    assert enter(stranger, device, rpId="example.net") == 401


def test_an_answer_counts_once_even_with_the_cookie_of_before(
    device: Device, stranger: Person, app: Flask
) -> None:
    asked = options_of(stranger.get("/login").text)
    cookie = stranger.client.get_cookie("usermgmt", domain=ACCOUNT_SITE)
    answer = device.use(asked)
    assert stranger.post("/login/passkey", credential=answer).status_code == 303
    thief = Browser(app, ACCOUNT_SITE)
    thief.client.set_cookie("usermgmt", cookie.value, domain=ACCOUNT_SITE)
    thief.token = stranger.token
    assert thief.post("/login/passkey", credential=answer).status_code == 401


def test_a_counter_that_goes_back_is_a_copy_of_the_passkey(device: Device, stranger: Person) -> None:
    for counter, status in ((7, 303), (6, 401), (7, 401), (8, 303)):
        device.counter = counter
        assert enter(stranger, device) == status, counter
        stranger.post("/logout")


def test_a_page_that_was_open_for_long_asks_again(
    device: Device, stranger: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = options_of(stranger.get("/login").text)
    monkeypatch.setattr("usermgmt.web.sessions.CHALLENGE_LASTS", timedelta())
    answer = stranger.post("/login/passkey", credential=device.use(asked))
    assert answer.status_code == 401
    assert options_of(answer.text)["challenge"] != asked["challenge"]
    assert timedelta(minutes=5) < passkeys.CHALLENGE_LASTS


def test_a_disabled_mailbox_a_deleted_one_and_an_admin_elsewhere_stay_out(
    device: Device, stranger: Person, web_database: Database, browser: Browser
) -> None:
    with web_database.transaction() as session:
        set_mailbox_active(session, COMMAND_LINE, 1, False)
    assert enter(stranger, device) == 401
    with web_database.transaction() as session:
        set_mailbox_active(session, COMMAND_LINE, 1, True)
        session.execute(update(Mailbox).values(deleted_at=utc_now()))
    assert enter(stranger, device) == 401
    with web_database.transaction() as session:
        session.execute(update(Mailbox).values(deleted_at=None))
        admin = session.scalars(select(Admin)).one()
        session.execute(update(Passkey).values(mailbox_id=None, admin_id=admin.id))
    assert enter(stranger, device) == 401, "an admin's passkey opens nothing where people are"


@pytest.mark.parametrize("credential", ["", "null", "[]", "{", '{"rawId": 7}', '{"rawId": "AAAA"}'])
def test_what_no_browser_sends_is_refused(device: Device, stranger: Person, credential: str) -> None:
    stranger.get("/login")
    assert stranger.post("/login/passkey", credential=credential).status_code == 401
