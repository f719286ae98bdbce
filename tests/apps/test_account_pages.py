"""The account pages in a real browser: on a desktop and a phone, light and dark, in both languages.

Every page is looked at by axe, the checker of accessibility; a picture of one that fails is in the artifacts.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from typing import NamedTuple

import pytest
import yaml
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from tests.apps.pages import EMAIL, LABELS, PASSWORD, authenticator, chromium, labels, usermgmt
from tests.stack.stack import ARTIFACTS
from tests.usermgmt import report_samples as samples

PAGES = (
    "/",
    "/domains",
    "/domains/1",
    "/domains/1/delete",
    "/domains/1/reports",
    "/mailboxes",
    "/mailboxes?state=never&sort=-used",
    "/mailboxes/new",
    "/mailboxes/1",
    "/mailboxes/1/delete",
    "/mailboxes/deleted",
    "/mailboxes/3/erase",
    "/import",
    "/aliases",
    "/aliases/new",
    "/aliases/1/delete",
    "/admins",
    "/admins/1",
    "/tokens",
    "/audit",
    "/mail",
    "/mail/1",
    "/senders",
    "/account",
    "/account/totp",
    "/account/passkeys/new",
    "/display",
    "/nothing",
)
DESKTOP, PHONE = {"width": 1200, "height": 800}, {"width": 375, "height": 740}


class View(NamedTuple):
    """How somebody looks at a page."""

    name: str
    size: dict[str, int]
    scheme: str
    locale: str


# Every look, every language and both sizes, not all of their combinations.
VIEWS = (
    View("desktop-light-en", DESKTOP, "light", "en-US"),
    View("phone-dark-ja", PHONE, "dark", "ja-JP"),
    View("phone-light-en", PHONE, "light", "en-US"),
    View("desktop-dark-ja", DESKTOP, "dark", "ja-JP"),
)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


@pytest.fixture(scope="module")
def address(tmp_path_factory) -> Iterator[str]:
    """usermgmt on this machine."""
    with usermgmt(tmp_path_factory.mktemp("pages"), "account.localhost", "localhost", tls=False) as port:
        yield f"http://localhost:{port}"


def where_people_are(address: str) -> str:
    """The account site beside the administration at `address`."""
    return address.replace("//", "//account.")


def open_view(browser: Browser, address: str, view: View, **options: object) -> Page:
    """A browser's page in that view, at the log-in."""
    context = browser.new_context(
        viewport=view.size, color_scheme=view.scheme, locale=view.locale, base_url=address, **options
    )
    page = context.new_page()
    page.goto("/login")
    return page


def log_in(page: Page) -> None:
    """As the first admin."""
    page.locator("input[name=email]").fill(EMAIL)
    page.locator("input[name=password]").fill(PASSWORD)
    page.keyboard.press("Enter")
    expect(page.locator("nav").first).to_be_visible()


def log_out(page: Page) -> None:
    """Until it is done: another page that is asked for meanwhile would end it."""
    page.get_by_role("button", name="Log out").first.click()
    page.wait_for_url(re.compile("/login"))


def fill(page: Page) -> None:
    """Something on every page, made without a script as a person would."""
    page.goto("/domains")
    page.locator("input[name=name]").fill("example.org")
    page.locator("form:has(input[name=name]) button").click()
    expect(page.locator(".notice")).to_be_visible()
    for name in ("anna", "bert", "carol"):
        page.goto("/mailboxes/new")
        page.locator("input[name=email]").fill(f"{name}@example.org")
        page.locator("article form button").click()
        expect(page.locator(".secret")).to_be_visible()
    page.goto("/mailboxes/3/delete")
    page.locator(".buttons button").click()
    expect(page.locator(".notice")).to_be_visible()
    page.goto("/aliases/new")
    page.locator("input[name=source]").fill("info@example.org")
    page.locator("textarea").fill("anna@example.org\nbert@example.org")
    page.locator("article form button").click()
    expect(page.locator(".notice")).to_be_visible()
    page.goto("/tokens")
    page.locator("input[name=name]").fill("Nightly export")
    page.locator("input[name=scopes]").first.check()
    page.get_by_role("button", name="Make a token").click()
    expect(page.locator(".secret")).to_be_visible()
    page.goto("/senders")
    page.locator("input[name=sender]").fill("*.a-rather-long-name-of-a-shop.example")
    page.locator("input[name=note]").fill("Order confirmations")
    page.get_by_role("button", name="Add", exact=True).click()
    expect(page.locator(".notice.good")).to_be_visible()
    for number, action in enumerate(("add header", "reject")):
        page.request.post("/internal/mail-reports", data=[mail_report(number, action)])
    for content in domain_reports():
        answer = page.request.post("/internal/domain-reports?reporter=reporter.example", data=content)
        assert answer.status == 201


def domain_reports() -> Iterator[bytes]:
    """Mails with reports of some days: everything that the page says."""
    relay, stranger = ("bounce.relay.example", "pass"), ("stranger.example", "fail")
    for day in range(4):
        records = [
            samples.record("192.0.2.1", 90 + 20 * day, spf="fail", envelope=relay),
            samples.record("2001:db8:1:2::3", 6 * day, dkim="fail", spf="fail", envelope=relay, signed=relay),
            samples.record("203.0.113.1", 9, dkim="fail", spf="fail", signed=("", "none"), envelope=stranger),
        ]
        begin = samples.BEGIN - 2 * day * samples.DAY
        yield samples.mail(samples.dmarc(*records, number=str(day), begin=begin).encode(), "r.xml")
    yield samples.mail(samples.tls().encode(), "r.json")


def mail_report(number: int, action: str) -> dict[str, object]:
    """What rspamd says about a mail."""
    reasons = [{"name": "MISSING_DATE", "score": 1}, {"name": "ODD_SYMBOL", "score": 6.5, "text": "Odd text"}]
    mail = {"sender": "offers@sender.example", "subject": f"Cheap watches, offer {number}", "size": 4096}
    to = {"recipients": ["anna@example.org"], "header": "Received", "key": "id 4abcdefghijk"}
    verdict = {"action": action, "score": 7.5, "threshold": 6, "reasons": reasons, "at": time.time()}
    return {"report": f"{number:032x}", **mail, **to, **verdict}


@pytest.mark.parametrize("view", VIEWS[:2], ids=lambda view: view.locale[:2])
def test_the_guides_picture_of_the_administration_shows_the_labels_of_today(browser, filled, view):
    page = open_view(browser, filled, view)
    log_in(page)
    pictured = yaml.safe_load(LABELS.read_text(encoding="utf-8"))[view.locale[:2]]
    assert labels(page) == pictured, "the pictures are old: run make screenshots"
    page.context.close()


@pytest.fixture(scope="module")
def filled(browser: Browser, address: str) -> str:
    """The address of pages that have something to show."""
    page = open_view(browser, address, VIEWS[0], java_script_enabled=False)
    log_in(page)
    fill(page)
    page.context.close()
    return address


def look(page: Page, path: str, view: View) -> None:
    """See that nothing is inaccessible or hangs over the edge; what is wrong is kept as a picture."""
    found = Axe().run(page, options={"resultTypes": ["violations"]}).response["violations"]
    serious = [(each["id"], each["nodes"][0]["html"]) for each in found if each["impact"] != "minor"]
    wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    if serious or wide > 0:
        picture = f"{path.strip('/').replace('/', '-') or 'overview'}.png"
        page.screenshot(path=ARTIFACTS / "account-pages" / view.name / picture, full_page=True)
    assert not serious, f"{view.name} {path}: {serious}"
    assert wide <= 0, f"{view.name} {path} is {wide} pixels too wide"


@pytest.mark.parametrize("view", VIEWS, ids=lambda view: view.name)
def test_every_page_is_accessible_and_fits(browser: Browser, filled: str, view: View):
    page = open_view(browser, filled, view)
    look(page, "/login", view)
    log_in(page)
    for path in PAGES:
        page.goto(path)
        look(page, path, view)
    page.context.close()


def test_a_log_in_and_a_search_need_nothing_but_the_keyboard(browser: Browser, filled: str):
    page = open_view(browser, filled, VIEWS[0])
    expect(page.locator("input[name=email]")).to_be_focused()
    page.keyboard.type(EMAIL)
    page.keyboard.press("Tab")
    page.keyboard.type(PASSWORD)
    page.keyboard.press("Enter")
    expect(page.locator("nav").first).to_be_visible()
    page.goto("/mailboxes")
    page.keyboard.press("Tab")
    expect(page.locator(".skip")).to_be_in_viewport()
    page.keyboard.press("Enter")
    for _ in ("Import and export", "Add mailbox", "the search"):
        page.keyboard.press("Tab")
    expect(page.locator("#q")).to_be_focused()
    page.keyboard.type("bert")
    page.keyboard.press("Enter")
    expect(page.get_by_role("link", name="bert@example.org")).to_be_visible()
    expect(page.get_by_role("link", name="anna@example.org")).to_have_count(0)
    page.context.close()


def test_a_script_ticks_a_whole_page_and_copies_what_is_shown_once(browser: Browser, filled: str):
    page = open_view(browser, filled, VIEWS[0])
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    log_in(page)
    page.goto("/mailboxes")
    page.get_by_label("Select all on this page").check()
    expect(page.locator("input[name=selected]:not(:checked)")).to_have_count(0)
    page.get_by_label("Select anna@example.org").uncheck()
    expect(page.get_by_label("Select all on this page")).not_to_be_checked()
    page.goto("/mailboxes/1")
    page.get_by_role("button", name="Change password").click()
    page.get_by_role("button", name="Copy").click()
    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    assert page.evaluate("navigator.clipboard.readText()") == page.locator(".secret").inner_text()
    page.context.close()


@pytest.mark.parametrize("view", VIEWS[1:3], ids=lambda view: view.name)
def test_what_an_import_says_is_accessible_and_fits(browser: Browser, filled: str, view: View):
    page = open_view(browser, filled, view)
    log_in(page)
    wrong = "anna@example.org,,\nnobody,1Q,\n" * 5
    for name, lines in (("right", "emi@example.org,1G,\n"), ("wrong", wrong)):
        page.goto("/import")
        table = f"address,quota,destinations\n{lines}".encode()
        page.locator("#file").set_input_files({"name": "a.csv", "mimeType": "text/csv", "buffer": table})
        page.locator("form[enctype] button").click()
        expect(page.locator("main [role=status], main [role=alert]")).to_be_visible()
        look(page, f"/import-{name}", view)
    page.context.close()


def new_mailbox(page: Page, name: str) -> str:
    """Add a mailbox; returns its generated password."""
    page.goto("/mailboxes/new")
    page.locator("input[name=email]").fill(f"{name}@example.org")
    page.locator("article form button").click()
    return page.locator(".secret").inner_text()


def test_somebody_new_chooses_a_password_with_a_link(browser: Browser, filled: str):
    admin = open_view(browser, filled, VIEWS[0])
    log_in(admin)
    admin.goto("/mailboxes/new")
    admin.locator("input[name=email]").fill("dai@example.org")
    admin.get_by_label("Make a link").check()
    admin.locator("article form button").click()
    link = admin.locator(".secret").inner_text()
    look(admin, "/link-shown", VIEWS[0])
    admin.context.close()

    page = open_view(browser, where_people_are(filled), VIEWS[2])
    look(page, "/login-of-people", VIEWS[2])
    assert link.startswith(where_people_are(filled))
    page.goto(link)
    look(page, "/password", VIEWS[2])
    page.keyboard.type("seven cold lanterns upstream")
    page.keyboard.press("Tab")
    page.keyboard.type("seven cold lanterns upstream")
    page.keyboard.press("Enter")
    expect(page.get_by_text("Your password was set.")).to_be_visible()
    page.goto(link)
    expect(page.get_by_role("heading", name="This link does not work")).to_be_visible()
    look(page, "/password-used", VIEWS[2])
    page.context.close()


def test_the_owner_of_a_mailbox_uses_a_passkey_then_a_recovery_code_then_the_passkey_alone(
    browser: Browser, filled: str
):
    admin = open_view(browser, filled, VIEWS[0])
    log_in(admin)
    password = new_mailbox(admin, "chihiro")
    admin.context.close()

    page = open_view(browser, where_people_are(filled), VIEWS[2])
    device, known = authenticator(page)

    def first_step() -> None:
        page.goto("/login")
        page.locator("input[name=email]").fill("chihiro@example.org")
        page.locator("input[name=password]").fill(password)
        page.keyboard.press("Enter")

    first_step()
    page.get_by_role("link", name="Add a passkey").click()
    page.get_by_label("Name").fill("Phone")
    page.get_by_role("button", name="Create passkey").click()
    codes = page.locator(".secret code")
    expect(codes).to_have_count(10)
    code = codes.first.inner_text()
    look(page, "/account/recovery-codes", VIEWS[2])
    page.get_by_role("link", name="Done").click()
    expect(page.get_by_text("never used")).to_be_visible()
    page.goto("/account/mail")
    look(page, "/account/mail", VIEWS[2])

    log_out(page)
    first_step()
    expect(page.get_by_role("heading", name="Second step")).to_be_visible()
    look(page, "/login/second", VIEWS[2])
    page.get_by_role("button", name="Use a passkey").click()
    expect(page.get_by_text("Last used:")).to_be_visible()

    log_out(page)
    first_step()
    page.get_by_label("Code").fill(code)
    page.get_by_role("button", name="Log in", exact=True).click()
    expect(page.get_by_text("Unused recovery codes: 9")).to_be_visible()

    log_out(page)
    page.get_by_role("button", name="Log in with a passkey").click()
    expect(page.get_by_text("Unused recovery codes: 9")).to_be_visible()

    log_out(page)
    device.send("WebAuthn.setUserVerified", {"authenticatorId": known, "isUserVerified": False})
    page.get_by_role("button", name="Log in with a passkey").click()
    expect(page.get_by_text("No passkey was accepted.")).to_be_visible()
    look(page, "/login/passkey", VIEWS[2])
    page.context.close()
