"""The two sites: what people reach without Cloudflare Access, and what only admins reach."""

from __future__ import annotations

import re

import pytest
from flask import Flask
from support import ACCOUNT_SITE, ADMIN_EMAIL, ADMIN_PASSWORD, ADMIN_SITE, PASSWORD, Browser, Directory
from test_account import turn_on

from usermgmt.database import Database
from usermgmt.models import LoginAttempt
from usermgmt.passwords import Hasher
from usermgmt.services import logins
from usermgmt.services.audit import COMMAND_LINE
from usermgmt.web.sites import PEOPLE

ANNA, NEW = "anna@example.org", "seven cold lanterns upstream"


@pytest.fixture
def filled(app: Flask, web_database: Database, hasher: Hasher) -> Database:
    """anna@example.org has a mailbox; so has the first admin, with a password of its own."""
    Browser(app).get("/login")
    with web_database.transaction() as session:
        made = Directory(session, COMMAND_LINE, hasher)
        made.domain("example.org")
        made.mailbox(ANNA)
        made.mailbox(ADMIN_EMAIL)
    return web_database


@pytest.fixture
def anna(app: Flask, filled: Database) -> Browser:
    """Logged in where people are."""
    browser = Browser(app, ACCOUNT_SITE)
    assert browser.log_in(ANNA, PASSWORD).headers["Location"] == "/account"
    return browser


def test_a_mailbox_logs_in_to_its_account_and_not_to_the_administration(app: Flask, filled: Database) -> None:
    assert Browser(app, ACCOUNT_SITE).log_in(ANNA, PASSWORD).status_code == 303
    assert Browser(app, ADMIN_SITE).log_in(ANNA, PASSWORD).status_code == 401


def test_the_public_site_takes_no_admins_password(app: Flask, filled: Database) -> None:
    assert Browser(app, ADMIN_SITE).log_in().status_code == 303
    assert Browser(app, ACCOUNT_SITE).log_in(ADMIN_EMAIL, ADMIN_PASSWORD).status_code == 401


def test_an_admin_with_a_mailbox_uses_each_account_on_its_site(app: Flask, filled: Database) -> None:
    person, admin = Browser(app, ACCOUNT_SITE), Browser(app, ADMIN_SITE)
    assert person.log_in(ADMIN_EMAIL, PASSWORD).headers["Location"] == "/account"
    assert admin.log_in().headers["Location"] == "/"
    assert "App passwords" in person.get("/account").text
    assert "App passwords" not in admin.get("/account").text


def test_no_page_of_administration_is_on_the_account_site(app: Flask, anna: Browser) -> None:
    """Not even for whoever is logged in; a page that is added later is not there either."""
    app.config["WTF_CSRF_ENABLED"] = False
    for rule in app.url_map.iter_rules():
        if rule.endpoint == "static" or rule.endpoint.rpartition(".")[0] in PEOPLE:
            continue
        path = re.sub(r"<[^>]*>", "1", rule.rule)
        for method in (rule.methods or set()) & {"GET", "POST", "PUT", "PATCH", "DELETE"}:
            answer = anna.client.open(
                path, method=method, base_url=anna.base_url, environ_overrides=anna.environ
            )
            assert answer.status_code == (302 if path == "/" else 404), (method, path, answer.status_code)


@pytest.mark.parametrize("path", ["/domains", "/api/v1/domains", "/ready", "/nothing"])
def test_a_stranger_gets_no_log_in_page_for_what_is_not_there(app: Flask, path: str) -> None:
    assert Browser(app, ACCOUNT_SITE).get(path).status_code == 404


def test_the_first_page_of_the_account_site_is_the_account(app: Flask, anna: Browser) -> None:
    assert anna.get("/").headers["Location"] == "/account"
    assert Browser(app, ACCOUNT_SITE).get("/").headers["Location"] == "/account"


def test_the_owner_of_a_mailbox_sees_their_own_mail_on_the_account_site(anna: Browser) -> None:
    assert anna.get("/mail").status_code == 200 and 'href="/mail"' in anna.get("/account").text


@pytest.mark.parametrize("half", [False, True], ids=["a session", "half a log-in"])
def test_a_cookie_of_one_site_is_worth_nothing_on_the_other(
    app: Flask, filled: Database, anna: Browser, half: bool
) -> None:
    if half:
        turn_on(anna)
        anna = Browser(app, ACCOUNT_SITE)
        assert anna.log_in(ANNA, PASSWORD).headers["Location"] == "/login/second"
    cookie = anna.client.get_cookie("usermgmt", ACCOUNT_SITE)
    assert cookie
    thief = Browser(app, ADMIN_SITE)
    thief.client.set_cookie("usermgmt", cookie.value, domain=ADMIN_SITE)
    for path in ("/", "/account", "/mailboxes", "/login/second"):
        assert thief.get(path).headers["Location"] == "/login", path


def test_a_link_leads_to_the_site_of_its_account_and_works_nowhere_else(
    app: Flask, filled: Database, browser: Browser
) -> None:
    browser.get("/mailboxes/1")
    shown = browser.post("/mailboxes/1/password", password_kind="link").text
    found = re.search(r">http://([\w.]+)(/password\?link=[\w-]+)<", shown)
    assert found and found[1] == ACCOUNT_SITE
    assert Browser(app, ADMIN_SITE).get(found[2]).status_code == 404
    assert Browser(app, ACCOUNT_SITE).get(found[2]).status_code == 200


def test_a_link_keeps_the_port_of_a_local_trial(app: Flask, filled: Database) -> None:
    admin = Browser(app, f"{ADMIN_SITE}:8080")
    admin.log_in()
    admin.get("/mailboxes/1")
    shown = admin.post("/mailboxes/1/password", password_kind="link").text
    assert f">http://{ACCOUNT_SITE}:8080/password?link=mailbox-1-" in shown


def test_a_passkey_is_for_the_site_where_it_is_made(anna: Browser, browser: Browser) -> None:
    for who, site in ((anna, ACCOUNT_SITE), (browser, ADMIN_SITE)):
        assert f"&#34;id&#34;: &#34;{site}&#34;" in who.get("/account/passkeys/new").text


def test_the_log_in_pages_say_whom_they_are_for(app: Flask) -> None:
    people, admins = (Browser(app, site).get("/login").text for site in (ACCOUNT_SITE, ADMIN_SITE))
    assert "For everybody with a mailbox here." in people and "http://" not in people
    assert "For administrators." in admins and f'href="http://{ACCOUNT_SITE}/"' in admins


def guess_from_everywhere(database: Database, how_often: int) -> None:
    """Wrong passwords for Anna, each from another network."""
    with database.transaction() as session:
        for number in range(how_often):
            address = f"198.{18 + number // 62500}.{number // 250 % 250}.{number % 250}"
            session.add(LoginAttempt(account=ANNA, client_address=address, outcome=logins.WRONG))


def from_address(app: Flask, address: str) -> Browser:
    """A browser that nobody knows, somewhere else."""
    browser = Browser(app, ACCOUNT_SITE)
    browser.headers = {"X-Forwarded-For": address}
    return browser


def test_strangers_do_not_lock_somebody_out_who_comes_from_a_new_place(app: Flask, filled: Database) -> None:
    guess_from_everywhere(filled, logins.MOST_FOR_ACCOUNT)
    assert from_address(app, "203.0.113.9").log_in(ANNA, PASSWORD).status_code == 303


def test_while_strangers_guess_a_new_place_has_one_try(app: Flask, filled: Database) -> None:
    guess_from_everywhere(filled, logins.MOST_FOR_ACCOUNT)
    for first, second in (
        ("203.0.113.9", "203.0.113.9"),
        ("2001:db8:7:1::1", "2001:db8:7:2::1"),
    ):
        assert from_address(app, first).log_in(ANNA, "wrong").status_code == 401
        assert from_address(app, second).log_in(ANNA, PASSWORD).status_code == 429, second


def test_the_second_factor_is_part_of_that_try(app: Flask, filled: Database, anna: Browser) -> None:
    _, codes = turn_on(anna)
    guess_from_everywhere(filled, logins.MOST_FOR_ACCOUNT)
    elsewhere = from_address(app, "203.0.113.9")
    assert elsewhere.log_in(ANNA, PASSWORD).headers["Location"] == "/login/second"
    assert elsewhere.post("/login/second", code=codes[0]).headers["Location"] == "/account"


def test_an_attack_from_a_thousand_places_holds_back_all_that_are_unknown_but_no_known_browser(
    app: Flask, filled: Database, anna: Browser
) -> None:
    anna.post("/logout")
    guess_from_everywhere(filled, logins.MOST_FOR_ACCOUNT_AT_FIRST)
    assert from_address(app, "203.0.113.9").log_in(ANNA, PASSWORD).status_code == 429
    assert anna.log_in(ANNA, PASSWORD).status_code == 303


def test_a_password_link_makes_the_browser_known(app: Flask, filled: Database, browser: Browser) -> None:
    browser.get("/mailboxes/1")
    shown = browser.post("/mailboxes/1/password", password_kind="link").text
    found = re.search(r"link=([\w-]+)<", shown)
    assert found
    new = from_address(app, "203.0.113.9")
    guess_from_everywhere(filled, logins.MOST_FOR_ACCOUNT_AT_FIRST)
    new.get(f"/password?link={found[1]}")
    assert new.post("/password", link=found[1], password=NEW, again=NEW).status_code == 303
    assert new.log_in(ANNA, NEW).status_code == 303


@pytest.mark.parametrize("address", [ANNA, ADMIN_EMAIL, "nobody@example.org", "nobody@elsewhere.example"])
def test_the_public_log_in_answers_alike_for_every_address(
    app: Flask, filled: Database, address: str
) -> None:
    """Also after many tries: what is counted is the address that was typed, whoever has it."""
    answer = Browser(app, ACCOUNT_SITE).log_in(address, "wrong")
    assert (answer.status_code, "Address or password is wrong." in answer.text) == (401, True)
    with filled.transaction() as session:
        for number in range(logins.MOST_FOR_ACCOUNT_AT_FIRST):
            client = f"198.18.{number // 250}.{number % 250}"
            session.add(LoginAttempt(account=address, client_address=client, outcome=logins.WRONG))
    assert from_address(app, "203.0.113.9").log_in(address, "wrong").status_code == 429


def test_guesses_of_strangers_push_no_log_in_out_of_the_list(filled: Database, anna: Browser) -> None:
    guess_from_everywhere(filled, 30)
    page = anna.get("/account").text
    assert page.count('<td data-label="What">Logged in</td>') == 1
    assert page.count('<td data-label="What">Log-in attempt</td>') == logins.RECENT
