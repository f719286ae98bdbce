"""Links that set a password once: what one opens, and when it no longer does."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier

import pytest
from flask import Flask
from sqlalchemy import select, update
from support import ACCOUNT_SITE, ADMIN_SITE, PASSWORD, PROXY, Browser, Directory
from test_account import as_owner, turn_on
from test_mariadb import filled as filled_mariadb  # noqa: F401 - fixtures
from test_mariadb import real  # noqa: F401 - fixtures

from usermgmt.database import Database
from usermgmt.models import AppPassword, Mailbox, PasswordLink, utc_now
from usermgmt.passwords import Hasher
from usermgmt.problems import Conflict
from usermgmt.services import links, logins
from usermgmt.services.audit import COMMAND_LINE, Actor

ANNA, NEW = "anna@example.org", "seven cold lanterns upstream"


@pytest.fixture
def admin(browser: Browser, web_database: Database, actor: Actor, hasher: Hasher) -> Browser:
    """An owner, with anna@example.org to look after."""
    with web_database.transaction() as session:
        made = Directory(session, actor, hasher)
        made.domain("example.org")
        made.mailbox(ANNA)
    return browser


def link_on(page: str, site: str = ACCOUNT_SITE) -> str:
    """The link that a page shows, without its site."""
    found = re.search(rf">http://{re.escape(site)}(/password\?link=[\w-]+)<", page)
    assert found, page
    return found.group(1)


def choose(
    app: Flask, link: str, password: str = NEW, again: str | None = None, site: str = ACCOUNT_SITE
) -> Browser:
    """Open a link and send the form; the answer's status is kept in `headers`."""
    browser = Browser(app, site)
    browser.get(link)
    token = link.partition("=")[2]
    answer = browser.post("/password", link=token, password=password, again=again or password)
    browser.headers = {"X-Status": str(answer.status_code)}
    return browser


def status(browser: Browser) -> int:
    """How the form of `choose` was answered."""
    return int(browser.headers["X-Status"])


def test_a_link_sets_the_password_once_and_ends_open_sessions(admin: Browser, app: Flask) -> None:
    open_session = Browser(app, ACCOUNT_SITE)
    open_session.log_in(ANNA, PASSWORD)
    link = link_on(admin.post("/mailboxes/1/password", password_kind="link").text)
    assert open_session.get("/account").status_code == 200, "until it is used the old password works"
    page = Browser(app, ACCOUNT_SITE).get(link)
    assert page.status_code == 200 and ANNA in page.text and page.headers["Cache-Control"] == "no-store"
    assert status(choose(app, link)) == 303
    assert open_session.get("/account").status_code == 302
    assert Browser(app, ACCOUNT_SITE).log_in(ANNA, NEW).status_code == 303
    assert Browser(app, ACCOUNT_SITE).get(link).status_code == 404 and status(choose(app, link)) == 404
    assert "Password set with a link" in admin.get("/audit").text


def test_a_new_mailbox_and_a_new_admin_get_a_link_instead_of_a_password(admin: Browser, app: Flask) -> None:
    for path, email, site in (
        ("/mailboxes", "bert@example.org", ACCOUNT_SITE),
        ("/admins", "second@example.org", ADMIN_SITE),
    ):
        link = link_on(admin.post(path, email=email, quota="", password_kind="link").text, site)
        assert status(choose(app, link, site=site)) == 303
        assert Browser(app, site).log_in(email, NEW).status_code == 303


def test_a_weak_password_uses_nothing_up(admin: Browser, app: Flask) -> None:
    link = link_on(admin.post("/mailboxes/1/password", password_kind="link").text)
    assert status(choose(app, link, "short")) == 422
    assert status(choose(app, link, NEW, "something else")) == 422
    assert status(choose(app, link)) == 303


@pytest.mark.parametrize("reason", ["old", "changed", "newer", "disabled", "deleted", "made up"])
def test_a_link_that_does_not_work_says_the_same_whatever_the_reason(
    admin: Browser, app: Flask, web_database: Database, reason: str
) -> None:
    link = link_on(admin.post("/mailboxes/1/password", password_kind="link").text)
    if reason == "old":
        with web_database.transaction() as session:
            session.execute(update(PasswordLink).values(expires_at=utc_now() - timedelta(seconds=1)))
    elif reason == "made up":
        link = link[:-4] + "AAAA"
    else:
        path, fields = {
            "changed": ("/mailboxes/1/password", {"password": "four new lamps upstream"}),
            "newer": ("/mailboxes/1/password", {"password_kind": "link"}),
            "disabled": ("/mailboxes/1/active", {"active": "no"}),
            "deleted": ("/mailboxes/1/delete", {}),
        }[reason]
        assert admin.post(path, **fields).status_code in (201, 303)
    unknown = Browser(app, ACCOUNT_SITE).get("/password?link=mailbox-99-" + "A" * 43)
    answer = Browser(app, ACCOUNT_SITE).get(link)
    blank = re.compile(r'name="(?:next|csrf_token)" value="[^"]*"')
    assert (answer.status_code, unknown.status_code, status(choose(app, link))) == (404, 404, 404)
    assert blank.sub("", answer.text) == blank.sub("", unknown.text) and ANNA not in answer.text


def test_the_table_has_no_token_that_works(admin: Browser, web_database: Database) -> None:
    link = link_on(admin.post("/mailboxes/1/password", password_kind="link").text)
    with web_database.transaction() as session:
        row = session.scalars(select(PasswordLink)).one()
        assert row.token_hash not in link and links.find_link(session, row.token_hash) is None
        assert row.expires_at - utc_now() < links.LASTS


def test_who_guesses_is_held_back_and_nobody_else(admin: Browser, app: Flask) -> None:
    link = link_on(admin.post("/mailboxes/1/password", password_kind="link").text)
    guesser = Browser(app, ACCOUNT_SITE, REMOTE_ADDR=PROXY)
    guesser.headers = {"X-Forwarded-For": "203.0.113.5"}
    for _ in range(logins.MOST_FROM_CLIENT):
        assert guesser.get("/password?link=x").status_code == 404
    assert guesser.get(link).status_code == 429
    assert Browser(app, ACCOUNT_SITE).get(link).status_code == 200
    assert Browser(app, ACCOUNT_SITE).log_in(ANNA, PASSWORD).status_code == 303


@pytest.mark.parametrize("by_link", [False, True])
def test_a_password_that_an_admin_sees_to_ends_the_app_passwords(
    admin: Browser, app: Flask, web_database: Database, by_link: bool
) -> None:
    as_owner(app).post("/account/app-passwords", name="Phone", old_password=PASSWORD)

    def left() -> int:
        with web_database.transaction() as session:
            return len(session.scalars(select(AppPassword)).all())

    assert left() == 1
    chosen = {"password_kind": "link"} if by_link else {"password": NEW}
    page = admin.post("/mailboxes/1/password", **chosen).text
    if by_link:
        assert left() == 1 and status(choose(app, link_on(page))) == 303
    assert left() == 0


def test_a_second_factor_outlives_a_link(admin: Browser, app: Flask, web_database: Database) -> None:
    turn_on(as_owner(app))
    link = link_on(admin.post("/mailboxes/1/password", password_kind="link").text)
    assert status(choose(app, link)) == 303
    assert Browser(app, ACCOUNT_SITE).log_in(ANNA, NEW).headers["Location"] == "/login/second"


@pytest.mark.mariadb
def test_of_two_who_send_a_link_at_once_one_sets_the_password(
    filled_mariadb: Database,  # noqa: F811
    hasher: Hasher,
) -> None:
    with filled_mariadb.transaction() as session:
        token = links.create_link(session, COMMAND_LINE, session.scalars(select(Mailbox)).one())
    start = Barrier(2)

    def send(password: str) -> bool:
        start.wait()
        try:
            with filled_mariadb.transaction() as session:
                return links.use_link(session, hasher, token, password, password, "") is not None
        except Conflict:
            return False

    with ThreadPoolExecutor(2) as pool:
        assert sorted(pool.map(send, (NEW, "four new lamps upstream"))) == [False, True]
