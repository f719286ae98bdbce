"""The pages as a person uses them: without a script, in two languages."""

from __future__ import annotations

import hashlib
import re
from datetime import datetime

import pytest
from babel.messages.pofile import read_po
from flask import Flask
from sqlalchemy import select
from strings import PACKAGE, all_texts
from support import ACCOUNT_SITE, Browser, first_id

from usermgmt.database import Database
from usermgmt.models import AuditEntry, Domain, Mailbox
from usermgmt.web.i18n import FOLDER

PASSWORD = "correct horse battery"
#: css/pico.min.css of @picocss/pico 2.1.1.
PICO = "fbc9a63fc9fc9f72d12fd7fc9806e11fa9f77ae4f9cad146b27003a1119ba3db"
PAGES = ("/", "/domains", "/mailboxes", "/mailboxes/new", "/mailboxes/1", "/mailboxes/1/delete")
PAGES += (
    "/admins",
    "/admins/1",
    "/audit",
    "/account",
    "/account/totp",
    "/display",
    "/aliases",
    "/aliases/new",
    "/aliases/1/delete",
    "/domains/1/delete",
    "/domains/1",
    "/mailboxes/deleted",
)


@pytest.fixture
def filled(browser: Browser) -> Browser:
    """One domain, two mailboxes, one alias, made through the pages."""
    browser.get("/domains")
    assert browser.post("/domains", name="example.org").status_code == 303
    for name in ("anna", "bert"):
        answer = browser.post(
            "/mailboxes",
            email=f"{name}@example.org",
            quota="1G",
            password_kind="chosen",
            password=PASSWORD,
        )
        assert answer.status_code == 303
    answer = browser.post("/aliases", source="info@example.org", destinations="anna@example.org")
    assert answer.status_code == 303
    return browser


def last_action(database: Database) -> str:
    """The newest row of the audit log."""
    with database.transaction() as session:
        return session.scalars(select(AuditEntry.action).order_by(AuditEntry.id.desc())).first() or ""


def test_the_overview_counts_one_domain_and_two_mailboxes(filled: Browser) -> None:
    figures = re.findall(r"<strong>(\d+)</strong> <span>(\w+)</span>", filled.get("/").text)
    assert figures == [("1", "Domain"), ("2", "Mailboxes"), ("1", "Alias")]


def test_what_was_made_through_the_pages_is_listed(filled: Browser) -> None:
    assert "example.org" in filled.get("/domains").text
    assert "anna@example.org" in filled.get("/mailboxes").text
    assert "info@example.org" in filled.get("/aliases").text


def test_a_wrong_form_comes_back_with_the_value_the_reason_and_the_advice(browser: Browser) -> None:
    answer = browser.post("/domains", name='no"dots<script>')
    assert answer.status_code == 422
    assert 'value="no&#34;dots&lt;script&gt;"' in answer.text and "<script>" not in answer.text
    assert "This is not a domain name that can receive mail." in answer.text
    assert 'aria-invalid="true" aria-describedby="name-problems name-hint"' in answer.text


def test_a_chosen_password_is_never_sent_back(filled: Browser) -> None:
    answer = filled.post("/mailboxes", email="wrong", quota="1G", password_kind="chosen", password=PASSWORD)
    assert answer.status_code == 422 and PASSWORD not in answer.text


def test_a_typed_password_is_used_even_if_generate_is_still_chosen(filled: Browser) -> None:
    answer = filled.post("/mailboxes/1/password", password_kind="generated", password="short")
    assert answer.status_code == 422 and "The password is too short." in answer.text


def test_a_generated_password_is_shown_once(filled: Browser, web_database: Database) -> None:
    answer = filled.post("/mailboxes", email="chihiro@example.org", quota="1G", password_kind="generated")
    shown = re.search(r"<code>([\w-]{23})</code>", answer.text)
    assert answer.status_code == 201 and shown
    assert answer.headers["Cache-Control"] == "no-store"
    with web_database.transaction() as session:
        mailbox = session.scalar(select(Mailbox).where(Mailbox.email == "chihiro@example.org"))
    assert mailbox and shown.group(1) not in filled.get(f"/mailboxes/{mailbox.id}").text


def test_a_mailbox_is_changed_disabled_enabled_and_deleted(filled: Browser, web_database: Database) -> None:
    number = first_id(filled.get("/mailboxes?q=bert").text, "mailboxes")
    steps = (
        ("", {"quota": "2G", "display_name": "Bert"}, "mailbox.change"),
        ("/password", {"password_kind": "generated"}, "mailbox.password"),
        ("/active", {"active": "no"}, "mailbox.disable"),
        ("/active", {"active": "yes"}, "mailbox.enable"),
        ("/delete", {}, "mailbox.delete"),
    )
    for path, fields, action in steps:
        assert filled.post(f"/mailboxes/{number}{path}", **fields).status_code in (200, 303)
        assert last_action(web_database) == action


def test_deleting_a_mailbox_says_first_how_it_comes_back(filled: Browser) -> None:
    assert "It can be restored with its mail" in filled.get("/mailboxes/2/delete").text


def test_a_deleted_mailbox_is_listed_and_restored_or_deleted_for_good(filled: Browser, app: Flask) -> None:
    filled.post("/mailboxes/2/delete")
    assert ">bert@example.org</a>" not in filled.get("/mailboxes").text
    assert "bert@example.org" in filled.get("/mailboxes/deleted").text
    assert filled.post("/mailboxes/2/restore").headers["Location"] == "/mailboxes/2"
    assert Browser(app, ACCOUNT_SITE).log_in("bert@example.org", PASSWORD).status_code == 303
    filled.post("/mailboxes/2/delete")
    assert "cannot be restored after this" in filled.get("/mailboxes/2/erase").text
    assert filled.post("/mailboxes/2/erase").status_code == 303
    assert "Nothing here." in filled.get("/mailboxes/deleted").text
    assert filled.post("/mailboxes", email="bert@example.org", quota="1G").status_code == 201


def test_a_mailbox_is_not_restored_beyond_the_limit_of_its_domain(
    filled: Browser, web_database: Database
) -> None:
    filled.post("/mailboxes/2/delete")
    with web_database.transaction() as session:
        session.scalars(select(Domain)).one().most_mailboxes = 1
    answer = filled.post("/mailboxes/2/restore")
    assert answer.status_code == 422 and "all the mailboxes that it may have" in answer.text


def test_a_mailbox_in_use_is_not_deleted_and_the_page_says_why(filled: Browser) -> None:
    answer = filled.post("/mailboxes/1/delete")
    assert answer.status_code == 422 and "Aliases lead to this address: info@example.org." in answer.text


def test_a_domain_and_an_alias_are_disabled_and_deleted(filled: Browser, web_database: Database) -> None:
    for path, fields, action in (
        ("/domains/1/active", {"active": "no"}, "domain.disable"),
        ("/aliases/1/active", {"active": "no"}, "alias.disable"),
        ("/aliases/1/active", {"active": "yes"}, "alias.enable"),
        ("/aliases/1/delete", {}, "alias.delete"),
    ):
        assert filled.post(path, **fields).status_code == 303
        assert last_action(web_database) == action
    assert filled.post("/domains/1/delete").status_code == 422


#: What other programs send.
NO_FORMS = ("oidc.token", "mail_logins.decide", "programs.autodiscover")


def test_every_form_is_refused_without_its_token(filled: Browser, app: Flask, web_database: Database) -> None:
    before = last_action(web_database)
    posts = [rule for rule in app.url_map.iter_rules() if rule.methods and "POST" in rule.methods]
    # The API takes no cookie, so no other site can use one.
    posts = [rule for rule in posts if not rule.endpoint.startswith("api.")]
    assert len(posts) > 30
    for rule in posts:
        # No forms: tests of their own say who may.
        if rule.endpoint.startswith("reports.") or rule.endpoint in NO_FORMS:
            continue
        path = re.sub(r"<int:\w+>", "1", rule.rule)
        assert filled.post_without_token(path, name="example.net").status_code == 400, path
        assert filled.post_without_token(path, csrf_token="made-up").status_code == 400, path
    assert last_action(web_database) == before


def test_no_page_shows_a_hash_or_a_password(filled: Browser) -> None:
    for path in PAGES:
        page = filled.get(path)
        assert page.status_code == 200, path
        assert "$argon2" not in page.text and "ARGON2ID" not in page.text and PASSWORD not in page.text


def test_every_page_has_strict_headers_and_no_script_but_a_file_of_ours(filled: Browser) -> None:
    for path in (*PAGES, "/login", "/nothing", "/health", "/static/style.css"):
        answer = filled.get(path)
        assert "default-src 'none'" in answer.headers["Content-Security-Policy"], path
        assert "frame-ancestors 'none'" in answer.headers["Content-Security-Policy"]
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        ours = '<script src="/static/page.js" data-copy="Copy" data-copied="Copied" defer></script>'
        assert not re.search(r"<script|javascript:|\son\w+=|\sstyle=", answer.text.replace(ours, "")), path
        assert ("script-src 'self'" in answer.headers["Content-Security-Policy"]) == (ours in answer.text), (
            path
        )
        cached = answer.headers["Cache-Control"]
        assert ("max-age" in cached) if path.endswith(".css") else cached == "no-store"


def test_every_input_has_a_label(filled: Browser) -> None:
    for path in (*PAGES, "/login"):
        page = filled.get(path).text
        for attributes in re.findall(r"<(?:input|textarea)\b([^>]*)>", page):
            if re.search('type="(hidden|radio|checkbox)"', attributes):
                continue
            named = re.search(r'\bid="([^"]+)"', attributes)
            assert named, attributes
            assert f'for="{named.group(1)}"' in page or "aria-label=" in attributes, (path, attributes)


def test_a_page_is_in_the_language_the_browser_asks_for(stranger: Browser) -> None:
    japanese = stranger.get("/login", **{"Accept-Language": "ja,en;q=0.5"})
    assert '<html lang="ja">' in japanese.text and "ログイン" in japanese.text
    assert japanese.headers["Content-Language"] == "ja" and "Accept-Language" in japanese.headers["Vary"]
    other = stranger.get("/login", **{"Accept-Language": "fr"})
    assert '<html lang="en">' in other.text


def test_a_refusal_is_translated_with_its_values(filled: Browser) -> None:
    filled.headers = {"Accept-Language": "ja"}
    answer = filled.post("/aliases", source="info@example.com", destinations="anna@example.org")
    assert "ドメイン example.com はこのサーバーにありません。" in answer.text


def test_every_text_has_a_japanese_translation_and_none_is_left_over() -> None:
    with (FOLDER / "ja" / "LC_MESSAGES" / "messages.po").open("rb") as file:
        messages = [message for message in read_po(file) if message.id]
    # Japanese has one form for any number.
    known = {
        text: message.string if isinstance(message.string, str) else message.string[0]
        for message in messages
        for text in ([message.id] if isinstance(message.id, str) else message.id)
    }
    assert set(known) == all_texts()
    for text, translated in known.items():
        assert translated, text
        assert set(re.findall(r"{\w+}", translated)) == set(re.findall(r"{\w+}", text)), text


def test_a_page_that_does_not_exist_is_friendly(filled: Browser) -> None:
    for path in ("/nothing", "/mailboxes/99", "/mailboxes/99/delete", "/aliases/99/delete"):
        answer = filled.get(path)
        assert answer.status_code == 404 and "There is nothing here" in answer.text, path


def test_an_odd_page_number_shows_the_first_page(filled: Browser) -> None:
    for number in ("0", "-1", "x", "9" * 30, "²"):
        assert "anna@example.org" in filled.get(f"/mailboxes?page={number}").text


def test_a_huge_form_is_refused(filled: Browser) -> None:
    answer = filled.post("/aliases", source="a@example.org", destinations="x" * 70_000)
    assert answer.status_code == 413 and "too much at once" in answer.text


def test_a_choice_of_language_and_time_zone_outlives_the_log_in(filled: Browser) -> None:
    answer = filled.post("/display", language="ja", timezone="Asia/Tokyo", next="/mailboxes?q=a")
    assert (answer.status_code, answer.headers["Location"]) == (303, "/")
    page = filled.get("/").text
    assert '<html lang="ja">' in page and "タイムゾーン: Asia/Tokyo" in page
    filled.post("/logout")
    assert '<html lang="ja">' in filled.get("/login").text


def test_a_choice_goes_with_the_account_to_another_browser(filled: Browser, app: Flask) -> None:
    filled.post("/display", language="ja", timezone="Asia/Tokyo")
    other = Browser(app)
    other.get("/login")
    other.post("/display", language="en", timezone="Europe/Paris")
    assert '<html lang="en">' in other.get("/login").text
    other.log_in()
    page = other.get("/").text
    assert '<html lang="ja">' in page and "Asia/Tokyo" in page


def test_a_choice_is_no_change_that_another_person_is_told_of(filled: Browser, app: Flask) -> None:
    anna = Browser(app, ACCOUNT_SITE)
    anna.log_in("anna@example.org", PASSWORD)
    anna.get("/account")
    anna.post("/display", language="ja")
    assert '<html lang="ja">' in anna.get("/account").text
    assert filled.post("/mailboxes/1", quota="2G", version="1").status_code == 303


@pytest.mark.parametrize(
    ("agent", "shown"),
    [
        ("Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0", "Firefox on Linux"),
        (
            "Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 Chrome/140.0 Safari/537.36 Edg/140.0",
            "Edge on Windows",
        ),
        (
            "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) Version/18 Safari/6",
            "Safari on iPhone",
        ),
        ("Mozilla/5.0 (Linux; Android 15) AppleWebKit/537.36 Chrome/140.0 Mobile", "Chrome on Android"),
        ("curl/8.5.0", "curl/8.5.0"),
    ],
)
def test_a_browser_has_a_name_that_people_know(app: Flask, agent: str, shown: str) -> None:
    browser = Browser(app)
    browser.headers = {"User-Agent": agent}
    browser.log_in()
    assert f">{shown}</th>" in browser.get("/account").text


def test_the_log_says_what_was_and_what_is_in_words(filled: Browser) -> None:
    filled.post("/mailboxes/1", quota="2G", display_name="Anna")
    for path in ("/audit?action=mailbox.change", "/"):
        page = filled.get(path).text
        assert "<small>Quota: 1G → 2G</small>" in page and "→ Anna</small>" in page
        assert "quota_bytes" not in page
    filled.post("/admins", email="d@example.org", role="domain-admin", domain="example.org")
    assert "<small>Domains: Everything (owner) → example.org</small>" in filled.get("/audit").text


def test_times_are_shown_in_the_chosen_zone(filled: Browser, web_database: Database) -> None:
    with web_database.transaction() as session:
        entry = session.scalars(select(AuditEntry).order_by(AuditEntry.id.desc())).first()
        assert entry
        entry.at = datetime(2026, 1, 2, 20, 30, 5)
    assert "Jan 2, 2026, 8:30:05" in filled.get("/").text
    filled.post("/display", timezone="Asia/Tokyo", language="ja")
    page = filled.get("/").text
    assert "2026/01/03 5:30:05" in page and 'datetime="2026-01-02T20:30:05Z"' in page


@pytest.mark.parametrize(
    "next_page", ["https://evil.example/", "//evil.example", "/\\evil.example", "/logout", ""]
)
def test_a_form_leads_nowhere_but_to_a_page_of_ours(stranger: Browser, next_page: str) -> None:
    stranger.get("/display")
    answer = stranger.post("/display", language="made-up", timezone="../../etc/passwd", next=next_page)
    assert answer.headers["Location"] == "/"
    assert stranger.client.get_cookie("language") is None and stranger.client.get_cookie("timezone") is None


def test_the_navigation_stays_where_no_page_is(browser: Browser, stranger: Browser) -> None:
    assert 'href="/mailboxes"' in browser.get("/nothing").text
    assert 'href="/mailboxes"' not in stranger.get("/nothing").text


def test_an_alias_with_three_destinations_counts_once(filled: Browser) -> None:
    filled.post("/aliases", source="team@example.org", destinations="anna@example.org bert@example.org")
    assert re.search(r"<strong>2</strong> <span>Aliases</span>\s*<small>all enabled", filled.get("/").text)
    assert '<td data-label="Aliases">2</td>' in filled.get("/domains").text


def test_an_empty_list_says_what_it_is_for(browser: Browser) -> None:
    assert "Add the first mailbox" in browser.get("/mailboxes").text
    assert "An alias passes mail on" in browser.get("/aliases").text
    assert "what follows the @" in browser.get("/domains").text


def test_no_page_is_heavier_than_100_kb(filled: Browser) -> None:
    for path in (*PAGES, "/login", "/nothing"):
        assert len(filled.get(path).data) < 100_000, path


def test_the_vendored_style_sheet_is_the_one_that_was_published() -> None:
    style = (PACKAGE / "web" / "static" / "vendor" / "pico.min.css").read_bytes()
    assert hashlib.sha256(style).hexdigest() == PICO
