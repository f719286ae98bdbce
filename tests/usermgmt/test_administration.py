"""Pages of admins and of what was done, and what strangers try with every form."""

from __future__ import annotations

import csv
import re

import pytest
from flask import Flask
from sqlalchemy import select
from support import ADMIN_EMAIL, ADMIN_PASSWORD, PASSWORD, Browser, Directory
from test_account import turn_on

from usermgmt.database import Database
from usermgmt.models import Admin, AuditEntry
from usermgmt.passwords import Hasher
from usermgmt.services.audit import Actor, record

SECOND = "second@example.org"
SCRIPT = "\"'><script>alert(1)</script>"


def add_second(browser: Browser) -> None:
    """Another owner, with a chosen password."""
    answer = browser.post("/admins", email=SECOND, password_kind="chosen", password=PASSWORD)
    assert answer.status_code == 303


def number_of(database: Database, email: str) -> int:
    """An admin's id."""
    with database.transaction() as session:
        return session.scalars(select(Admin.id).where(Admin.email == email)).one()


def test_an_admin_is_added_with_a_password_shown_once_and_logs_in(browser: Browser, app: Flask) -> None:
    answer = browser.post("/admins", email=SECOND, password_kind="generated")
    shown = re.search(r"<code>([\w-]{23})</code>", answer.text)
    assert shown and Browser(app).log_in(SECOND, shown.group(1)).status_code == 303
    assert SECOND in browser.get("/admins").text


def test_an_admin_is_removed_and_logged_out_at_once(
    browser: Browser, app: Flask, web_database: Database
) -> None:
    add_second(browser)
    second = Browser(app)
    second.log_in(SECOND, PASSWORD)
    assert browser.post(f"/admins/{number_of(web_database, SECOND)}/delete").status_code == 303
    assert second.get("/").status_code == 302
    assert Browser(app).log_in(SECOND, PASSWORD).status_code == 401


def test_the_last_owner_stays_also_when_the_others_are_disabled(
    browser: Browser, web_database: Database
) -> None:
    add_second(browser)
    with web_database.transaction() as session:
        session.scalars(select(Admin).where(Admin.email == SECOND)).one().active = False
    answer = browser.post(f"/admins/{number_of(web_database, ADMIN_EMAIL)}/delete")
    assert answer.status_code == 422 and "This is the last owner." in answer.text


def test_an_admin_is_disabled_at_once_and_enabled_again(
    browser: Browser, app: Flask, web_database: Database
) -> None:
    add_second(browser)
    second = Browser(app)
    second.log_in(SECOND, PASSWORD)
    page = f"/admins/{number_of(web_database, SECOND)}"
    browser.get(page)
    assert browser.post(f"{page}/active", active="").headers["Location"] == page
    assert second.get("/").headers["Location"] == "/login" and "is disabled." in browser.get(page).text
    assert Browser(app).log_in(SECOND, PASSWORD).status_code == 401
    own = f"/admins/{number_of(web_database, ADMIN_EMAIL)}"
    browser.get(own)
    refused = browser.post(f"{own}/active", active="")
    assert refused.status_code == 422 and "This is the last owner." in refused.text
    browser.get(page)
    browser.post(f"{page}/active", active="yes")
    assert Browser(app).log_in(SECOND, PASSWORD).status_code == 303


def test_a_new_password_by_another_admin_turns_a_lost_second_factor_off(
    browser: Browser, app: Flask, web_database: Database
) -> None:
    add_second(browser)
    second = Browser(app)
    second.log_in(SECOND, PASSWORD)
    second.get("/account")
    turn_on(second)
    path = f"/admins/{number_of(web_database, SECOND)}/password"
    assert browser.post(path, password_kind="chosen", password="four new lamps upstream").status_code == 303
    assert second.get("/account").status_code == 302
    assert Browser(app).log_in(SECOND, "four new lamps upstream").headers["Location"] == "/"


def test_an_admin_of_domains_is_added_and_becomes_an_owner(
    browser: Browser, app: Flask, web_database: Database
) -> None:
    for name in ("one.example", "two.example"):
        browser.post("/domains", name=name)
    fields = {"email": SECOND, "password_kind": "chosen", "password": PASSWORD}
    answer = browser.post("/admins", **fields, role="domain-admin")
    assert answer.status_code == 422 and "No domain is chosen." in answer.text
    assert browser.post("/admins", **fields, role="domain-admin", domain="one.example").status_code == 303
    assert ">one.example</td>" in browser.get("/admins").text
    second = Browser(app)
    second.log_in(SECOND, PASSWORD)
    assert "two.example" not in second.get("/domains").text
    path = f"/admins/{number_of(web_database, SECOND)}"
    answer = browser.post(f"{path}/role", role="domain-admin", domain="gone.example")
    assert answer.status_code == 422 and "There is no such domain." in answer.text
    assert browser.post(f"{path}/role", role="owner", version="2").status_code == 303
    assert second.get("/").status_code == 302, "what somebody may do changes with a new log-in"
    second.log_in(SECOND, PASSWORD)
    assert "two.example" in second.get("/domains").text


def test_the_last_owner_cannot_become_less_on_the_page(browser: Browser, web_database: Database) -> None:
    browser.post("/domains", name="one.example")
    path = f"/admins/{number_of(web_database, ADMIN_EMAIL)}/role"
    answer = browser.post(path, role="domain-admin", domain="one.example", version="1")
    assert answer.status_code == 422 and "This is the last owner." in answer.text
    assert browser.get("/admins").status_code == 200


def test_of_two_owners_who_change_a_role_the_second_is_told(browser: Browser, web_database: Database) -> None:
    add_second(browser)
    browser.post("/domains", name="one.example")
    path, fields = f"/admins/{number_of(web_database, SECOND)}/role", {"role": "domain-admin"}
    assert browser.post(path, **fields, domain="one.example", version="1").status_code == 303
    answer = browser.post(path, role="owner", version="1")
    assert answer.status_code == 409 and "You had entered:" in answer.text


def test_what_was_done_is_found_by_person_and_kind(browser: Browser) -> None:
    add_second(browser)
    browser.post("/domains", name="example.org")
    page = browser.get("/audit?q=second").text
    assert "second@example.org" in page and "Domain added</td>" not in page
    page = browser.get("/audit?action=domain.add").text
    assert "example.org" in page and ">second@example.org" not in page
    assert "Nothing matches." in browser.get("/audit?q=nobody").text


def test_a_long_log_has_pages_of_fifty(browser: Browser, web_database: Database, actor: Actor) -> None:
    with web_database.transaction() as session:
        for number in range(120):
            record(session, actor, "domain.add", f"d{number}.example.org")
    first, last = browser.get("/audit?q=d&page=1").text, browser.get("/audit?action=domain.add&page=3").text
    assert "d119.example.org" in first and "d0.example.org" in last and "d119" not in last
    assert "/audit?action=domain.add&amp;page=2" in last


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t"])
def test_no_cell_of_the_export_is_a_formula(browser: Browser, web_database: Database, start: str) -> None:
    with web_database.transaction() as session:
        record(session, Actor(f"{start}cmd|' /C calc'!A0"), "domain.add", f"{start}1+1", note=start)
    answer = browser.get("/audit.csv?action=domain.add")
    assert answer.mimetype == "text/csv" and answer.headers["X-Content-Type-Options"] == "nosniff"
    rows = list(csv.reader(answer.text.splitlines()))
    assert len(rows) == 2 and all(cell.startswith("'") for cell in (rows[1][1], rows[1][3]))


def test_a_script_in_any_field_of_any_form_stays_text(
    browser: Browser, web_database: Database, actor: Actor, hasher: Hasher
) -> None:
    with web_database.transaction() as session:
        made = Directory(session, actor, hasher)
        made.domain("example.org")
        made.mailbox("anna@example.org", name=SCRIPT[:60])
        session.add(AuditEntry(actor=SCRIPT, action=SCRIPT[:64], subject=SCRIPT, detail={SCRIPT: SCRIPT}))
    fields = ("name", "email", "source", "destinations", "quota", "display_name", "code", "old_password")
    fields += ("password", "again", "next", "language", "timezone", "credential", "active", "password_kind")
    posts = [
        rule for rule in browser.client.application.url_map.iter_rules() if "POST" in (rule.methods or ())
    ]
    queries = (
        "/mailboxes?q=",
        "/aliases?q=",
        "/aliases/new?source=",
        "/audit?q=",
        "/audit?action=",
        "/mailboxes?page=",
    )
    pages = [browser.get(query + SCRIPT) for query in queries]
    pages += [
        browser.get(path) for path in ("/", "/audit", "/mailboxes", "/mailboxes/1", "/account", "/admins")
    ]
    assert all(page.status_code == 200 for page in pages), "each shows what it was asked for"
    # Three of them end the session that all others need, so they come last.
    last = ("/admins/<int:admin_id>/password", "/login", "/logout")
    for rule in sorted(posts, key=lambda each: each.rule in last):
        path = re.sub(r"<int:\w+>", "1", rule.rule)
        pages.append(browser.post(path, **dict.fromkeys(fields, SCRIPT)))
    for page in pages:
        assert "<script>" not in page.text and "alert(1)</script" not in page.text, page.request.path
        assert page.status_code < 500, page.request.path


def test_an_admin_of_a_domain_has_no_page_of_owners(
    browser: Browser, app: Flask, web_database: Database
) -> None:
    add_second(browser)
    with web_database.transaction() as session:
        session.scalars(select(Admin).where(Admin.email == SECOND)).one().role = "domain-admin"
    second = Browser(app)
    second.log_in(SECOND, PASSWORD)
    for path in ("/admins", "/tokens"):
        assert second.get(path).status_code == 403, path
    assert second.post("/admins", email="x@example.org", password_kind="generated").status_code == 403


def test_an_unknown_a_disabled_and_a_wrong_log_in_cannot_be_told_apart(
    browser: Browser, app: Flask, web_database: Database
) -> None:
    add_second(browser)
    with web_database.transaction() as session:
        session.scalars(select(Admin).where(Admin.email == SECOND)).one().active = False
    answers = set()
    for email, password in (
        (ADMIN_EMAIL, "wrong"),
        (SECOND, PASSWORD),
        ("nobody@example.org", ADMIN_PASSWORD),
    ):
        answer = Browser(app).log_in(email, password)
        answers.add((answer.status_code, re.sub(r'(value|data-options)="[^"]*"', "", answer.text)))
    assert len(answers) == 1
