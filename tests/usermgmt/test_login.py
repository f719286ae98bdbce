"""Logging in and out: who gets in, who is slowed down, and what a session survives."""

from __future__ import annotations

import logging
from datetime import timedelta

import bcrypt
import pytest
from argon2 import PasswordHasher
from flask import Flask
from sqlalchemy import select, update
from support import ADMIN_EMAIL, ADMIN_PASSWORD, Browser

from usermgmt.database import Database
from usermgmt.models import Admin, AuditEntry, LoginAttempt
from usermgmt.passwords import Hasher
from usermgmt.services import admins, logins
from usermgmt.services.audit import COMMAND_LINE


def age_the_attempts(database: Database, by: timedelta) -> None:
    """As if everybody had tried earlier."""
    with database.transaction() as session:
        for entry in session.scalars(select(LoginAttempt)):
            session.execute(update(LoginAttempt).where(LoginAttempt.id == entry.id).values(at=entry.at - by))


def test_pages_send_a_stranger_to_the_log_in(stranger: Browser) -> None:
    for path in ("/", "/domains", "/mailboxes", "/mailboxes/new", "/mailboxes/1", "/aliases", "/aliases/new"):
        answer = stranger.get(path)
        assert (answer.status_code, answer.headers["Location"]) == (302, "/login"), path


def test_a_strangers_form_changes_nothing(stranger: Browser, web_database: Database) -> None:
    stranger.get("/login")
    assert stranger.post("/domains", name="example.org").status_code == 302
    with web_database.transaction() as session:
        assert not session.scalars(select(AuditEntry).where(AuditEntry.action.startswith("domain"))).first()


def test_the_right_password_opens_the_overview(stranger: Browser) -> None:
    answer = stranger.log_in()
    assert (answer.status_code, answer.headers["Location"]) == (303, "/")
    assert "Recent activity" in stranger.get("/").text


def test_the_address_is_accepted_in_any_case(stranger: Browser) -> None:
    assert stranger.log_in(ADMIN_EMAIL.upper()).status_code == 303


@pytest.mark.parametrize("email", [ADMIN_EMAIL, "nobody@example.org", "not an address", ""])
def test_a_wrong_log_in_gets_the_same_answer_for_every_address(stranger: Browser, email: str) -> None:
    answer = stranger.log_in(email, "wrong password")
    assert answer.status_code == 401
    assert "Address or password is wrong." in answer.text and "wrong password" not in answer.text


def test_a_disabled_admin_cannot_log_in_and_loses_the_session(
    browser: Browser, app: Flask, web_database: Database
) -> None:
    with web_database.transaction() as session:
        session.execute(update(Admin).values(active=False))
    assert browser.get("/").status_code == 302
    assert Browser(app).log_in().status_code == 401


def test_an_unknown_address_costs_as_much_work_as_a_wrong_password_whatever_hash_it_has(
    database: Database, hasher: Hasher, monkeypatch: pytest.MonkeyPatch
) -> None:
    with database.transaction() as session:
        admins.add_admin(session, COMMAND_LINE, hasher, ADMIN_EMAIL, ADMIN_PASSWORD)
        older = admins.add_admin(session, COMMAND_LINE, hasher, "older@example.org", ADMIN_PASSWORD)
        older.password_hash = bcrypt.hashpw(ADMIN_PASSWORD.encode(), bcrypt.gensalt(4)).decode()
    work: list[str] = []
    by_bcrypt, by_argon2 = bcrypt.checkpw, PasswordHasher.verify

    def bcrypt_watched(password: bytes, stored: bytes) -> bool:
        work.append(stored[:7].decode())
        return by_bcrypt(password, stored)

    def argon2_watched(self: PasswordHasher, stored: str, password: bytes) -> bool:
        work.append(stored.rsplit("$", 2)[0])
        return by_argon2(self, stored, password)

    monkeypatch.setattr(bcrypt, "checkpw", bcrypt_watched)
    monkeypatch.setattr(PasswordHasher, "verify", argon2_watched)
    for kind in ("admin", "mailbox"):
        for email in (ADMIN_EMAIL, "older@example.org", "nobody@example.org", "not an address"):
            assert logins.log_in(database, hasher, kind, email, "wrong", "192.0.2.1") is None
    assert work == ["$2b$04$", "$argon2id$v=19$m=8,t=2,p=1"] * 8


def test_an_older_hash_is_replaced_at_the_next_log_in(database: Database, hasher: Hasher) -> None:
    with database.transaction() as session:
        admin = admins.add_admin(session, COMMAND_LINE, hasher, ADMIN_EMAIL, ADMIN_PASSWORD)
        admin.password_hash = bcrypt.hashpw(ADMIN_PASSWORD.encode(), bcrypt.gensalt(4)).decode()
    for _ in range(2):
        assert logins.log_in(database, hasher, "admin", ADMIN_EMAIL, ADMIN_PASSWORD, "192.0.2.1")
        with database.transaction() as session:
            assert not hasher.is_outdated(session.scalars(select(Admin.password_hash)).one())


def test_the_sixth_wrong_password_from_one_client_is_not_even_looked_at(stranger: Browser) -> None:
    for _ in range(5):
        assert stranger.log_in(password="wrong").status_code == 401
    answer = stranger.log_in()
    assert answer.status_code == 429 and answer.headers["Retry-After"] == "900"
    assert "Wait 15 minutes" in answer.text


def test_another_client_may_still_log_in(app: Flask, stranger: Browser) -> None:
    for _ in range(6):
        stranger.log_in(password="wrong")
    assert Browser(app, REMOTE_ADDR="198.51.100.7").log_in().status_code == 303


def test_the_throttle_ends_after_a_quarter_of_an_hour(stranger: Browser, web_database: Database) -> None:
    for _ in range(6):
        stranger.log_in(password="wrong")
    age_the_attempts(web_database, logins.WINDOW)
    assert stranger.log_in().status_code == 303


def test_right_passwords_do_not_use_up_the_tries(app: Flask) -> None:
    for _ in range(8):
        assert Browser(app).log_in().status_code == 303


def test_guessing_many_addresses_from_one_client_is_slowed_down(stranger: Browser) -> None:
    statuses = [stranger.log_in(f"a{number}@example.org", "wrong").status_code for number in range(21)]
    assert statuses == [401] * 20 + [429]


def test_an_ipv6_subscriber_counts_as_one_client(app: Flask) -> None:
    statuses = [
        Browser(app, REMOTE_ADDR=f"2001:db8:0:1::{number:x}").log_in(password="wrong").status_code
        for number in range(1, 7)
    ]
    assert statuses == [401] * 5 + [429]
    assert Browser(app, REMOTE_ADDR="2001:db8:0:2::1").log_in().status_code == 303


def guess_from_everywhere(database: Database) -> None:
    """As many wrong passwords as one account takes from clients that failed before, from as many clients."""
    with database.transaction() as session:
        for number in range(logins.MOST_FOR_ACCOUNT):
            row = LoginAttempt(account=ADMIN_EMAIL, client_address=f"198.51.{number}.1", outcome=logins.WRONG)
            session.add(row)


def test_one_address_is_protected_from_many_clients(database: Database, hasher: Hasher) -> None:
    guess_from_everywhere(database)
    with pytest.raises(logins.Throttled):
        for _ in range(2):
            logins.log_in(database, hasher, "admin", ADMIN_EMAIL, "wrong", "203.0.113.9")


def let_in(database: Database, hasher: Hasher) -> None:
    """A whole log-in of the admin."""
    found = logins.log_in(database, hasher, "admin", ADMIN_EMAIL, ADMIN_PASSWORD, "192.0.2.1")
    assert found
    with database.transaction() as session:
        logins.finish(session, found.attempt, found.account, "192.0.2.1")


def test_strangers_everywhere_cannot_lock_the_owner_out(database: Database, hasher: Hasher) -> None:
    with database.transaction() as session:
        admins.add_admin(session, COMMAND_LINE, hasher, ADMIN_EMAIL, ADMIN_PASSWORD)
    let_in(database, hasher)
    guess_from_everywhere(database)
    let_in(database, hasher)
    device = logins.known_device("key", ADMIN_EMAIL, logins.device_mark("key", ADMIN_EMAIL))
    assert logins.log_in(database, hasher, "admin", ADMIN_EMAIL, ADMIN_PASSWORD, "203.0.113.9", device), (
        "known browser"
    )


def test_a_neighbour_behind_the_same_address_cannot_lock_a_known_browser_out(
    database: Database, hasher: Hasher
) -> None:
    with database.transaction() as session:
        admins.add_admin(session, COMMAND_LINE, hasher, ADMIN_EMAIL, ADMIN_PASSWORD)
    for _ in range(logins.MOST_FOR_ACCOUNT_FROM_CLIENT):
        logins.log_in(database, hasher, "admin", ADMIN_EMAIL, "wrong", "192.0.2.1")
    with pytest.raises(logins.Throttled):
        logins.log_in(database, hasher, "admin", ADMIN_EMAIL, ADMIN_PASSWORD, "192.0.2.1")
    assert logins.log_in(database, hasher, "admin", ADMIN_EMAIL, ADMIN_PASSWORD, "192.0.2.1", "its-own-mark")


def test_a_stolen_browser_has_few_tries(database: Database, hasher: Hasher) -> None:
    for _ in range(logins.MOST_FROM_DEVICE):
        assert logins.log_in(database, hasher, "admin", ADMIN_EMAIL, "wrong", "192.0.2.1", "a-mark") is None
    with pytest.raises(logins.Throttled):
        logins.log_in(database, hasher, "admin", ADMIN_EMAIL, ADMIN_PASSWORD, "192.0.2.1", "a-mark")


@pytest.mark.parametrize("mark", ["", "x", ".", "x.y", "x." + "0" * 64, "ü.ü"])
def test_a_mark_that_was_not_given_out_is_a_stranger(mark: str) -> None:
    assert logins.known_device("key", ADMIN_EMAIL, mark) == ""
    given = logins.device_mark("key", ADMIN_EMAIL)
    assert logins.known_device("key", ADMIN_EMAIL.upper(), given)
    assert not logins.known_device("key", "other@example.org", given)
    assert not logins.known_device("another key", ADMIN_EMAIL, given)


def test_attempts_write_one_row_each_tell_failures_and_leave_the_audit_log_alone(
    database: Database, hasher: Hasher
) -> None:
    with database.transaction() as session:
        admins.add_admin(session, COMMAND_LINE, hasher, ADMIN_EMAIL, ADMIN_PASSWORD)
    logins.log_in(database, hasher, "admin", ADMIN_EMAIL, "wrong", "192.0.2.1")
    let_in(database, hasher)
    with database.transaction() as session:
        assert session.scalars(select(LoginAttempt.outcome).order_by(LoginAttempt.id)).all() == [
            logins.WRONG,
            logins.SUCCESS,
        ]
        assert session.scalars(select(AuditEntry.action)).all() == ["admin.add"]


def test_the_table_of_attempts_is_bounded(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logins, "MOST_ALTOGETHER", 8)
    for number in range(8):
        logins.announce_attempt(database, f"a{number}@example.org", f"198.51.100.{number}")
    with pytest.raises(logins.Throttled):
        logins.announce_attempt(database, "another@example.org", "203.0.113.9")
    age_the_attempts(database, logins.KEEP_WRONG)
    logins.announce_attempt(database, "another@example.org", "203.0.113.9")
    with database.transaction() as session:
        assert session.scalars(select(LoginAttempt.account)).all() == ["another@example.org"]


def test_a_parallel_guess_counts_before_its_password_is_checked(database: Database, hasher: Hasher) -> None:
    for _ in range(5):
        logins.announce_attempt(database, ADMIN_EMAIL, "192.0.2.1")
    with pytest.raises(logins.Throttled):
        logins.log_in(database, hasher, "admin", ADMIN_EMAIL, ADMIN_PASSWORD, "192.0.2.1")


def test_a_session_that_somebody_planted_is_not_continued(app: Flask) -> None:
    attacker, victim = Browser(app), Browser(app)
    attacker.get("/login")
    planted = attacker.client.get_cookie("usermgmt")
    assert planted
    victim.client.set_cookie("usermgmt", planted.value)
    victim.token = attacker.token
    assert victim.post("/login", email=ADMIN_EMAIL, password=ADMIN_PASSWORD).status_code == 303
    assert attacker.get("/").status_code == 302
    assert victim.post("/domains", name="example.org").status_code == 400


def test_a_copied_cookie_is_worthless_after_the_log_out(app: Flask, browser: Browser) -> None:
    thief = Browser(app)
    cookie = browser.client.get_cookie("usermgmt")
    assert cookie
    thief.client.set_cookie("usermgmt", cookie.value)
    assert thief.get("/").status_code == 200
    assert browser.post("/logout").headers["Location"] == "/login"
    thief.client.set_cookie("usermgmt", cookie.value)
    assert thief.get("/").status_code == 302


def test_one_can_log_in_again_after_the_log_out(browser: Browser) -> None:
    browser.post("/logout")
    assert "You are logged out." in browser.get("/login").text
    assert browser.log_in().status_code == 303 and browser.get("/").status_code == 200


def test_a_new_password_ends_every_session(browser: Browser, web_database: Database, hasher: Hasher) -> None:
    with web_database.transaction() as session:
        admins.reset_admin(session, COMMAND_LINE, hasher, ADMIN_EMAIL, "a completely new one")
    assert browser.get("/").status_code == 302


def test_a_session_ends_after_ten_hours_whatever_one_does(
    browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    later = logins.utc_now() + timedelta(hours=10, seconds=1)
    monkeypatch.setattr("usermgmt.services.web_sessions.utc_now", lambda: later)
    assert browser.get("/").status_code == 302


def test_the_cookie_is_closed_to_scripts_and_other_sites(stranger: Browser) -> None:
    cookie = stranger.get("/login").headers["Set-Cookie"]
    assert "HttpOnly" in cookie and "SameSite=Lax" in cookie and "Path=/" in cookie


def test_no_password_reaches_the_log(stranger: Browser, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        stranger.log_in(password="a-wrong-secret-guess")
        stranger.log_in()
    assert "login.success" in caplog.text
    for secret in ("a-wrong-secret-guess", ADMIN_PASSWORD, "$argon2"):
        assert secret not in caplog.text
