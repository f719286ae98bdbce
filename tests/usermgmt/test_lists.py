"""Lists of many: part of all, in some order, and one change for all that a filter finds."""

from __future__ import annotations

import re
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import insert, select, update
from support import Browser, Directory
from test_permissions import DOMAIN_ADMIN, filled, logged_in, number_in  # noqa: F401 - a fixture

from usermgmt.database import Database
from usermgmt.models import Alias, Domain, Mailbox, MailboxUsage, utc_now
from usermgmt.services import mailbox_batches
from usermgmt.services.mailbox_batches import change_part
from usermgmt.services.mailbox_list import Part, list_part

GIB = 1024**3
MANY = 60


@pytest.fixture
def people(browser: Browser, web_database: Database) -> Browser:
    """Sixty mailboxes in two domains, every third disabled, every fifth full, one that logged in."""
    with web_database.transaction() as session:
        session.execute(insert(Domain), [{"name": name} for name in ("one.example", "two.example")])
        rows = [
            {
                "domain_id": 1 + number % 2,
                "email": f"p{number:02}@{('one', 'two')[number % 2]}.example",
                "password_hash": "x",
                "quota_bytes": GIB,
                "display_name": f"Name {MANY - number:02}",
                "active": number % 3 > 0,
            }
            for number in range(MANY)
        ]
        session.execute(insert(Mailbox), rows)
        usage = [
            {"mailbox_id": 1 + number, "used_bytes": GIB + number if number % 5 == 0 else number}
            for number in range(MANY)
        ]
        session.execute(insert(MailboxUsage), usage)
        session.execute(update(Mailbox).where(Mailbox.id == 8).values(last_login_at=utc_now()))
    browser.get("/mailboxes")
    return browser


def listed(page: str) -> list[str]:
    """The addresses of a list of mailboxes, in its order."""
    return re.findall(r'<a href="/mailboxes/\d+">([^<]+)</a>', page)


def states(database: Database) -> dict[str, bool]:
    """Which mailboxes are enabled; those that are deleted are not there."""
    with database.transaction() as session:
        rows = session.execute(select(Mailbox.email, Mailbox.active).where(Mailbox.deleted_at.is_(None)))
        return {email: active for email, active in rows}


def fields(page: str) -> dict[str, Any]:
    """What the only question on a page would send."""
    form = re.search(r'<form class="buttons".*?</form>', page, re.DOTALL)
    assert form
    found = dict(re.findall(r'name="(\w+)" value="([^"]*)"', form[0]))
    return {name: value for name, value in found.items() if name != "csrf_token"}


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("domain=one.example&state=disabled", [f"p{each:02}@one.example" for each in range(0, MANY, 6)]),
        ("state=full&domain=two.example", [f"p{each:02}@two.example" for each in range(5, MANY, 10)]),
        ("q=name+60&state=never", ["p00@one.example"]),
        ("domain=nowhere.example", []),
    ],
)
def test_a_list_is_filtered_by_text_domain_and_state(
    people: Browser, query: str, expected: list[str]
) -> None:
    assert listed(people.get(f"/mailboxes?{query}").text) == expected


@pytest.mark.parametrize(
    ("sort", "first"),
    [
        ("address", "p00@one.example"),
        ("-address", "p59@two.example"),
        ("name", "p59@two.example"),
        ("-used", "p55@two.example"),
        ("-login", "p07@two.example"),
        ("state", "p00@one.example"),
        ("password_hash", "p00@one.example"),
    ],
)
def test_a_list_is_sorted_by_any_column_that_it_shows(people: Browser, sort: str, first: str) -> None:
    page = people.get(f"/mailboxes?sort={sort}").text
    assert listed(page)[0] == first
    assert ('aria-sort="descending"' in page) is sort.startswith("-")


def test_a_pressed_head_turns_the_order_and_keeps_the_filter(people: Browser) -> None:
    page = people.get("/mailboxes?state=enabled&sort=used").text
    assert 'aria-sort="ascending"><a href="/mailboxes?state=enabled&amp;sort=-used">Used</a>' in page
    assert '<a href="/mailboxes?state=enabled">Address</a>' in page


def test_domains_and_aliases_are_filtered_and_sorted_alike(people: Browser, web_database: Database) -> None:
    with web_database.transaction() as session:
        session.get_one(Domain, 2).active = False
        session.add_all(
            Alias(domain_id=1, source=source, destination=to, active=active)
            for source, to, active in (
                ("a@one.example", "x", False),
                ("b@one.example", "x", True),
                ("b@one.example", "y", False),
                ("@one.example", "x", True),
            )
        )
    domains = people.get("/domains?sort=-name").text
    assert domains.index("two.example</a>") < domains.index("one.example</a>")
    assert "one.example</a>" not in people.get("/domains?state=disabled").text
    for query, expected in (
        ("state=disabled", ["a@one.example"]),
        ("state=catch-all", ["@one.example"]),
        ("sort=-destinations&state=enabled", ["b@one.example", "@one.example"]),
        ("domain=two.example", []),
    ):
        page = people.get(f"/aliases?{query}").text
        assert re.findall(r'<h2 class="address" id="s\d+">([^< ]+)', page) == expected, query


def test_all_that_a_filter_finds_are_disabled_after_a_question_that_says_how_many(
    people: Browser, web_database: Database
) -> None:
    question = people.post("/mailboxes/selected/active", all="yes", active="no", domain="one.example")
    assert question.status_code == 200 and "30 mailboxes" in question.text
    assert sum(states(web_database).values()) == 40, "a question changes nothing"
    answer = people.post("/mailboxes/selected/active", **fields(question.text))
    assert answer.headers["Location"] == "/mailboxes?domain=one.example"
    enabled = [email for email, active in states(web_database).items() if active]
    assert len(enabled) == 20 and all("@two" in email for email in enabled)


def test_whoever_came_after_the_question_is_asked_about_again(
    people: Browser, web_database: Database
) -> None:
    question = people.post("/mailboxes/selected/delete", all="yes", state="disabled").text
    with web_database.transaction() as session:
        session.get_one(Mailbox, 2).active = False
        session.add(
            Mailbox(domain_id=1, email="z@one.example", password_hash="x", quota_bytes=GIB, active=False)
        )
    again = people.post("/mailboxes/selected/delete", **fields(question))
    assert again.status_code == 409 and "21 mailboxes" in again.text and len(states(web_database)) == 61
    assert people.post("/mailboxes/selected/delete", **fields(again.text)).status_code == 303
    assert "z@one.example" in states(web_database), "who is new is not among those who were counted"


def test_many_are_changed_in_batches_and_what_is_refused_stays(
    people: Browser, web_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mailbox_batches, "BATCH", 7)
    monkeypatch.setattr(mailbox_batches, "BATCHES", 2)
    people.post("/aliases", source="info@one.example", destinations="p04@one.example")
    page, rounds = people.post("/mailboxes/selected/delete", all="yes", domain="one.example"), 0
    while 'name="until"' in page.text:
        page, rounds = people.post("/mailboxes/selected/delete", **fields(page.text)), rounds + 1
        if rounds == 1:
            assert "13 mailboxes are done." in page.text and "16 mailboxes" in page.text
            assert "Aliases lead to this address: info@one.example." in page.text
    assert rounds == 3
    assert [email for email in states(web_database) if "@one" in email] == ["p04@one.example"]


def test_a_batch_that_breaks_off_leaves_the_others_done_and_itself_untouched(
    people: Browser, web_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mailbox_batches, "BATCH", 10)

    def disable(session: Any, number: int) -> None:
        if number == 15:
            raise ConnectionError
        session.get_one(Mailbox, number).active = False

    with pytest.raises(ConnectionError):
        change_part(web_database, Part(until=MANY), disable)
    with web_database.transaction() as session:
        rows, _ = list_part(session, Part(state="enabled"))
        assert min(row.id for row in rows) == 11


@pytest.mark.parametrize("domain", ["foreign.example", ""])
def test_a_domain_admin_reaches_nobody_else_with_all_of_a_filter(
    app: Flask,
    filled: Database,  # noqa: F811
    domain: str,
) -> None:
    browser = logged_in(app, DOMAIN_ADMIN)
    until = str(number_in(filled, "mailbox_id", "foreign.example"))
    for path, more in (("active", {"active": "no"}), ("delete", {"active": "no"})):
        for count in ("0", "1", "2"):
            sent = {"all": "yes", "sure": "yes", "count": count, "until": until, "domain": domain, **more}
            assert browser.post_without_token(f"/mailboxes/selected/{path}", **sent).status_code < 500
    assert states(filled)["anna@foreign.example"]
    assert "@foreign.example" not in browser.get(f"/mailboxes?domain={domain}").text


def test_a_mailboxs_page_shows_what_belongs_to_it_and_of_other_domains_only_how_much(
    app: Flask,
    filled: Database,  # noqa: F811
    hasher: Any,
    actor: Any,
) -> None:
    with filled.transaction() as session:
        Directory(session, actor, hasher).alias("x@foreign.example", "anna@own.example")
    number = number_in(filled, "mailbox_id", "own.example")
    for role, hidden in ((DOMAIN_ADMIN, True), ("owner", False)):
        page = logged_in(app, role).get(f"/mailboxes/{number}").text
        assert "info@own.example" in page
        assert ("1 alias of another domain leads here." in page) is hidden
        assert ("x@foreign.example" in page) is not hidden


def test_a_full_mailbox_is_marked_with_a_word_and_a_colour(people: Browser) -> None:
    page = people.get("/mailboxes?q=p05").text
    assert 'class="usage full"' in page and '<span class="state off">Full</span>' in page
    assert "usage full" not in people.get("/mailboxes?q=p06").text
