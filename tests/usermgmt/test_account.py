"""One's own account: who sees what, and what a stolen password, session or code is worth."""

from __future__ import annotations

import hashlib
import re
import time
from datetime import timedelta

import pyotp
import pytest
from flask import Flask
from sqlalchemy import select, update
from support import ACCOUNT_SITE, ADMIN_EMAIL, ADMIN_PASSWORD, PASSWORD, Browser, Directory

from usermgmt.database import Database
from usermgmt.models import Admin, AppPassword, Domain, Mailbox, TotpSecret, WebSession, utc_now
from usermgmt.passwords import Hasher
from usermgmt.services.audit import Actor

ANNA, NEW = "anna@example.org", "seven cold lanterns upstream"


@pytest.fixture
def anna(app: Flask, web_database: Database, actor: Actor, hasher: Hasher) -> Browser:
    """A browser in which the owner of a mailbox is logged in."""
    with web_database.transaction() as session:
        made = Directory(session, actor, hasher)
        made.domain("example.org")
        made.mailbox(ANNA)
        made.mailbox("bert@example.org")
    return as_owner(app)


def as_owner(app: Flask, email: str = ANNA, password: str = PASSWORD, **environ: str) -> Browser:
    """A browser in which the owner of a mailbox is logged in, at the account page."""
    browser = Browser(app, ACCOUNT_SITE, **environ)
    answer = browser.log_in(email, password)
    assert answer.status_code == 303, answer.text
    return browser


def turn_on(browser: Browser) -> tuple[pyotp.TOTP, list[str]]:
    """Set up an authenticator app; returns it and the recovery codes."""
    found = re.search(r'<code class="address">(\w+)</code>', browser.get("/account/totp").text)
    assert found
    totp = pyotp.TOTP(found.group(1))
    answer = browser.post("/account/totp", code=totp.now())
    codes = re.findall(r"<code>([\w-]{14})</code>", answer.text)
    assert answer.status_code == 200 and len(codes) == 10
    return totp, codes


def later(totp: pyotp.TOTP) -> str:
    """The code of the next half minute, which a telephone with a fast clock shows."""
    return totp.at(int(time.time()) + 30)


def half_way(app: Flask) -> Browser:
    """A browser in which Anna's password was right and the second step is due."""
    browser = Browser(app, ACCOUNT_SITE)
    assert browser.log_in(ANNA, PASSWORD).headers["Location"] == "/login/second"
    browser.get("/login/second")
    return browser


def the(database: Database, model: type, email: str = ANNA) -> object:
    """One row by its address."""
    with database.transaction() as session:
        return session.scalars(select(model).where(model.email == email)).one()


def test_the_owner_of_a_mailbox_sees_the_account_and_nothing_else(anna: Browser) -> None:
    assert anna.get("/").headers["Location"] == "/account"
    page = anna.get("/account").text
    assert ANNA in page and 'href="/mailboxes"' not in page
    for path in ("/domains", "/mailboxes", "/mailboxes/1", "/mailboxes/1/delete", "/aliases", "/aliases/new"):
        assert anna.get(path).status_code == 404, path
    assert anna.post("/mailboxes/2/password", password_kind="generated").status_code == 404


def test_a_log_in_is_noted_and_nobody_who_edits_the_mailbox_meanwhile_is_refused(
    anna: Browser, web_database: Database
) -> None:
    with web_database.transaction() as session:
        mailbox = session.scalars(select(Mailbox).where(Mailbox.email == ANNA)).one()
    assert mailbox.last_login_at and utc_now() - mailbox.last_login_at < timedelta(minutes=1)
    assert mailbox.version == 1


@pytest.mark.parametrize("what", ["disabled", "domain off", "deleted"])
def test_an_account_that_is_off_cannot_log_in_and_loses_its_sessions(
    anna: Browser, app: Flask, web_database: Database, what: str
) -> None:
    change = {
        "disabled": update(Mailbox).values(active=False),
        "domain off": update(Domain).values(active=False),
        "deleted": update(Mailbox).values(deleted_at=utc_now()),
    }[what]
    with web_database.transaction() as session:
        session.execute(change)
    assert anna.get("/account").status_code == 302
    assert Browser(app, ACCOUNT_SITE).log_in(ANNA, PASSWORD).status_code == 401


def test_a_new_password_needs_the_old_one_and_logs_other_browsers_out(anna: Browser, app: Flask) -> None:
    other = as_owner(app)
    fields = {"password": NEW, "again": NEW}
    assert "This is not your password." in anna.post("/account/password", old_password="x", **fields).text
    assert anna.post("/account/password", old_password=PASSWORD, **fields).status_code == 303
    assert anna.get("/account").status_code == 200
    assert other.get("/account").status_code == 302
    assert Browser(app, ACCOUNT_SITE).log_in(ANNA, PASSWORD).status_code == 401
    assert Browser(app, ACCOUNT_SITE).log_in(ANNA, NEW).status_code == 303


@pytest.mark.parametrize(
    ("password", "reason"),
    [
        ("qwertyuiop1234", "common words or names"),
        ("anna@example.org7", "contains your address"),
        ("abcabcabcabcabcabcdefg", "easy to guess|Repeated characters"),
        ("tiny1", "too short"),
    ],
)
def test_a_weak_password_is_refused_and_the_page_says_why(anna: Browser, password: str, reason: str) -> None:
    answer = anna.post("/account/password", old_password=PASSWORD, password=password, again=password)
    assert answer.status_code == 422 and re.search(reason, answer.text), answer.text
    assert password not in answer.text


def test_a_stolen_session_is_no_place_to_guess_the_password(anna: Browser) -> None:
    tries = [
        anna.post("/account/password", old_password=f"guess {number}", password=NEW, again=NEW).status_code
        for number in range(11)
    ]
    # This browser is known; a stranger's has five.
    assert tries == [422] * 10 + [429]
    assert anna.post("/account/password", old_password=PASSWORD, password=NEW, again=NEW).status_code == 429


def test_an_app_password_is_shown_once_and_can_be_revoked(anna: Browser, web_database: Database) -> None:
    assert anna.post("/account/app-passwords", name="Phone", old_password="x").status_code == 422
    answer = anna.post("/account/app-passwords", name="Phone", old_password=PASSWORD)
    shown = re.search(r"<code>([\w-]{23})</code>", answer.text)
    assert shown and answer.headers["Cache-Control"] == "no-store"
    with web_database.transaction() as session:
        row = session.scalars(select(AppPassword)).one()
    assert row.password_hash == hashlib.sha256(shown.group(1).encode()).hexdigest()
    page = anna.get("/account").text
    assert "Phone" in page and shown.group(1) not in page
    assert Browser(anna.client.application, ACCOUNT_SITE).log_in(ANNA, shown.group(1)).status_code == 401
    anna.post(f"/account/app-passwords/{row.id}/delete")
    with web_database.transaction() as session:
        assert session.scalars(select(AppPassword)).first() is None


def test_nobody_changes_what_belongs_to_somebody_else(
    anna: Browser, app: Flask, web_database: Database
) -> None:
    anna.post("/account/app-passwords", name="Phone", old_password=PASSWORD)
    bert = as_owner(app, "bert@example.org")
    with web_database.transaction() as session:
        app_password = session.scalars(select(AppPassword)).one()
        browsers = list(session.scalars(select(WebSession).where(WebSession.mailbox_id == 1)))
    bert.post(f"/account/app-passwords/{app_password.id}/delete")
    for each in browsers:
        bert.post(f"/account/sessions/{each.id}/end")
    bert.post("/account/sessions/end-others")
    assert "Phone" in anna.get("/account").text


def test_an_admin_has_an_account_page_without_app_passwords(browser: Browser) -> None:
    page = browser.get("/account").text
    assert ADMIN_EMAIL in page and "App passwords" not in page
    assert browser.post("/account/app-passwords", name="x", old_password=ADMIN_PASSWORD).status_code == 403


def test_other_browsers_are_listed_and_can_be_logged_out(anna: Browser, app: Flask) -> None:
    second, third = as_owner(app), as_owner(app)
    page = anna.get("/account").text
    assert page.count("/end") == 3 and page.count("This browser") == 1
    one = re.search(r"/account/sessions/(\d+)/end", page)
    assert one
    anna.post(one.group(0))
    assert [each.get("/account").status_code for each in (second, third)].count(302) == 1
    anna.post("/account/sessions/end-others")
    assert [each.get("/account").status_code for each in (anna, second, third)] == [200, 302, 302]


def test_a_log_in_makes_a_new_token_and_a_log_out_ends_only_this_browser(anna: Browser, app: Flask) -> None:
    before = anna.client.get_cookie("usermgmt", ACCOUNT_SITE)
    other = as_owner(app)
    anna.post("/logout")
    assert before and other.get("/account").status_code == 200
    anna.client.set_cookie("usermgmt", before.value, domain=ACCOUNT_SITE)
    assert anna.get("/account").status_code == 302


def test_sessions_that_began_before_their_end_was_asked_for_are_over(
    anna: Browser, app: Flask, web_database: Database
) -> None:
    with web_database.transaction() as session:
        session.execute(update(Mailbox).values(sessions_ended_at=utc_now()))
    assert anna.get("/account").status_code == 302
    as_owner(app)


def test_half_a_log_in_opens_nothing(anna: Browser, app: Flask) -> None:
    turn_on(anna)
    browser = half_way(app)
    for path in ("/mail", "/account", "/account/totp", "/account/passkeys/new"):
        assert browser.get(path).headers["Location"] == "/login", path


def test_a_code_logs_in_once_and_not_again(anna: Browser, app: Flask, web_database: Database) -> None:
    totp, _ = turn_on(anna)
    assert the(web_database, Mailbox).two_factor  # type: ignore[attr-defined]
    code = later(totp)
    browser = half_way(app)
    assert browser.post("/login/second", code=code).headers["Location"] == "/account"
    replayed = half_way(app)
    answer = replayed.post("/login/second", code=code)
    assert answer.status_code == 401 and "used before" in answer.text


def test_the_code_that_turned_the_app_on_does_not_log_in(
    anna: Browser, app: Flask, web_database: Database
) -> None:
    totp, _ = turn_on(anna)
    with web_database.transaction() as session:
        step = session.scalars(select(TotpSecret.last_step)).one()
    # By its step: the clock may show the next code by now, which is a good one.
    assert half_way(app).post("/login/second", code=totp.at(step * 30)).status_code == 401


def test_a_recovery_code_logs_in_once(anna: Browser, app: Flask) -> None:
    _, codes = turn_on(anna)
    assert half_way(app).post("/login/second", code=codes[3]).status_code == 303
    assert half_way(app).post("/login/second", code=codes[3]).status_code == 401
    assert half_way(app).post("/login/second", code=codes[4].replace("-", " ")).status_code == 303


def test_new_recovery_codes_replace_the_old_ones(anna: Browser, app: Flask) -> None:
    _, codes = turn_on(anna)
    answer = anna.post("/account/recovery-codes", old_password=PASSWORD)
    assert len(set(re.findall(r"<code>([\w-]{14})</code>", answer.text)) - set(codes)) == 10
    assert half_way(app).post("/login/second", code=codes[0]).status_code == 401


def test_guessing_codes_is_slowed_down(anna: Browser, app: Flask) -> None:
    turn_on(anna)
    browser = half_way(app)
    answers = [browser.post("/login/second", code=f"{number:06}").status_code for number in range(6)]
    assert answers[0] == 401 and answers[-1] == 429


def test_turning_the_app_off_needs_the_password(anna: Browser, app: Flask, web_database: Database) -> None:
    turn_on(anna)
    assert anna.post("/account/totp/delete", old_password="x").status_code == 422
    assert anna.post("/account/totp/delete", old_password=PASSWORD).status_code == 303
    assert not the(web_database, Mailbox).two_factor  # type: ignore[attr-defined]
    assert Browser(app, ACCOUNT_SITE).log_in(ANNA, PASSWORD).headers["Location"] == "/account"


def test_an_open_browser_alone_puts_no_other_app_in_the_place_of_one_that_is_on(
    anna: Browser, app: Flask
) -> None:
    totp, _ = turn_on(anna)
    found = re.search(r'<code class="address">(\w+)</code>', anna.get("/account/totp").text)
    assert found
    answer = anna.post("/account/totp", code=pyotp.TOTP(found[1]).now())
    assert answer.status_code == 422 and "An authenticator app is on already." in answer.text
    assert half_way(app).post("/login/second", code=later(totp)).status_code == 303


def test_an_admin_turns_a_lost_second_factor_off(anna: Browser, app: Flask, web_database: Database) -> None:
    turn_on(anna)
    admin = Browser(app)
    admin.log_in()
    assert "Turn the second factor off" in admin.get("/mailboxes/1").text
    assert admin.post("/mailboxes/1/second-factor").status_code == 303
    assert not the(web_database, Mailbox).two_factor  # type: ignore[attr-defined]
    assert Browser(app, ACCOUNT_SITE).log_in(ANNA, PASSWORD).headers["Location"] == "/account"


def test_an_admin_too_has_a_second_factor(browser: Browser, app: Flask) -> None:
    totp, _ = turn_on(browser)
    again = Browser(app)
    assert again.log_in().headers["Location"] == "/login/second"
    again.get("/login/second")
    assert again.post("/login/second", code=later(totp)).headers["Location"] == "/"


def test_a_passkey_that_the_browser_did_not_make_is_refused(anna: Browser) -> None:
    for credential in ("", "null", "[]", '{"id": "x"}', '{"rawId": 7}'):
        anna.get("/account/passkeys/new")
        assert anna.post("/account/passkeys", name="Phone", credential=credential).status_code == 422, (
            credential
        )


def test_a_made_up_passkey_opens_nothing(anna: Browser, app: Flask) -> None:
    turn_on(anna)
    browser = half_way(app)
    for credential in ("null", "[]", '{"rawId": "AAAA"}', "{"):
        assert browser.post("/login/second", credential=credential).status_code == 401, credential


def test_only_the_page_of_a_passkey_may_run_a_script(anna: Browser) -> None:
    assert "script-src" not in anna.get("/account").headers["Content-Security-Policy"]
    page = anna.get("/account/passkeys/new")
    assert "script-src 'self'" in page.headers["Content-Security-Policy"]
    assert re.findall(r"<script[^>]*>", page.text) == ['<script src="/static/passkeys.js" defer>']


def test_what_a_form_does_not_have_cannot_be_set_by_it(anna: Browser, web_database: Database) -> None:
    extra = {"quota_bytes": "1", "active": "no", "two_factor": "1", "role": "owner", "mailbox_id": "2"}
    fields = {"old_password": PASSWORD, "password": NEW, "again": NEW}
    assert anna.post("/account/password", **fields, **extra).status_code == 303
    row = the(web_database, Mailbox)
    assert isinstance(row, Mailbox) and row.active and row.quota_bytes == 1024**3 and not row.two_factor


def test_an_unconfirmed_app_is_asked_for_nothing(anna: Browser, app: Flask, web_database: Database) -> None:
    anna.get("/account/totp")
    anna.get("/account/totp")
    with web_database.transaction() as session:
        assert len(list(session.scalars(select(TotpSecret)))) == 1
        assert session.scalars(select(Admin)).one()
    as_owner(app)
