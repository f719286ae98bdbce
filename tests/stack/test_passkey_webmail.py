"""The webmail by a passkey alone, in a real browser: the real names, TLS, at a desk and on a phone."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.apps.pages import authenticator, chromium
from tests.stack.clients import Edge, Mailbox, Mailboxes, Sink, message
from tests.stack.conftest import PHONE
from tests.stack.stack import Stack
from tests.stack.tls_edge import Sites, real_sites

pytestmark = pytest.mark.parametrize("stack", ["default answers"], indirect=True)


@pytest.fixture(scope="module")
def readers(stack, accounts) -> list[Mailbox]:
    """Somebody for each size, made while the administration has the name of the local trial."""
    return [Mailboxes(stack.info, accounts).new() for _ in range(2)]


@pytest.fixture(scope="module")
def sites(stack, readers, tmp_path_factory) -> Iterator[Sites]:
    with real_sites(stack, tmp_path_factory.mktemp("tls")) as found:
        yield found


@pytest.fixture(scope="module")
def browser(sites) -> Iterator[Browser]:
    """One that finds the real names here."""
    with chromium(*sites.flags) as browser:
        yield browser


def first_step(page: Page, sites: Sites, reader: Mailbox) -> None:
    """Address and password, on the account pages."""
    page.goto(f"{sites.account}login")
    page.get_by_label("Address").fill(reader.address)
    page.get_by_label("Password").fill(reader.password)
    page.get_by_role("button", name="Log in", exact=True).click()


def make_passkey(page: Page, sites: Sites) -> str:
    """Add a passkey and log out; one of the recovery codes that come with the first."""
    expect(page.get_by_role("heading", name="App passwords")).to_be_visible()
    page.goto(f"{sites.account}account/passkeys/new")
    page.get_by_label("Name").fill("This device")
    page.get_by_role("button", name="Create passkey").click()
    code = page.locator(".secret code").first.inner_text()
    page.get_by_role("link", name="Done").click()
    page.get_by_role("button", name="Log out", exact=True).first.click()
    page.wait_for_url(f"{sites.account}login")
    return code


def file_into_archive(page: Page, sites: Sites, subject: str) -> None:
    """Make a filter in the webmail's settings."""
    page.goto(f"{sites.webmail}?_task=settings&_action=plugin.managesieve")
    page.locator("a.create:visible").first.click()
    form = page.frame_locator("#filter-box")
    form.locator("input[name=_name]").fill("Walks")
    form.locator("select[name='_header[0]']").select_option("subject")
    form.locator("input[name='_rule_target[0][]']").fill(subject)
    form.locator("select[name='_action_mailbox[0]']").select_option("Archive")
    # On a phone the button is in the footer of the page around the form.
    footer = page.locator(".content-frame-navigation a.submit")
    (footer if page.viewport_size == PHONE else form.get_by_role("button", name="Save")).click()
    expect(page.get_by_text("Filter saved successfully.")).to_be_visible()


def read(page: Page, sites: Sites, folder: str, subject: str) -> None:
    """Open a folder and the mail in it."""
    page.goto(f"{sites.webmail}?_task=mail&_mbox={folder}")
    page.locator("#messagelist").get_by_text(subject).first.click()
    expect(page.frame_locator("#messagecontframe").locator("#messagebody")).to_contain_text("old harbour")


def send(page: Page, sites: Sites, subject: str) -> None:
    """Write a mail to somebody outside."""
    page.goto(f"{sites.webmail}?_task=mail")
    # Roundcube keeps a new mail in the session, which a list that is still being fetched would write over.
    page.wait_for_load_state("networkidle")
    page.goto(f"{sites.webmail}?_task=mail&_action=compose&_to=friend@far.example")
    page.wait_for_url(re.compile(r"_id="))
    page.locator("input[name=_subject]").fill(subject)
    page.locator("textarea[name=_message]").fill("Written by the owner of a passkey.")
    page.locator("button.send:visible, a.send:visible").first.click()
    page.wait_for_url(lambda url: "compose" not in url)


def end_all_others(browser: Browser, sites: Sites, reader: Mailbox, code: str) -> None:
    """By password and code, in a browser without the passkey."""
    context = browser.new_context(locale="en-US")
    page = context.new_page()
    first_step(page, sites, reader)
    page.get_by_role("textbox", name="Code").fill(code)
    page.get_by_role("button", name="Log in", exact=True).click()
    page.get_by_role("button", name="Log all others out").click()
    expect(page.get_by_role("button", name="Log all others out")).to_have_count(0)
    context.close()


def test_who_has_a_passkey_reads_filters_and_sends_until_the_session_is_ended_elsewhere(
    page: Page, browser: Browser, sites: Sites, stack: Stack, readers: list[Mailbox]
) -> None:
    reader, edge = readers.pop(), Edge(stack.info)
    subject = f"a walk {reader.address}"
    authenticator(page)
    first_step(page, sites, reader)
    code = make_passkey(page, sites)

    page.goto(sites.webmail)
    page.wait_for_url(f"{sites.account}login")
    page.get_by_role("button", name="Log in with a passkey").click()
    page.wait_for_url(re.compile(f"^{re.escape(sites.webmail)}.*_task=mail"))
    assert all(cookie["secure"] and cookie["httpOnly"] for cookie in page.context.cookies())

    file_into_archive(page, sites, subject)
    for each, folder in (("of the harbour", "INBOX"), (subject, "Archive")):
        assert edge.post(message(each, to=reader.address), reader.address).status_code == 200
        read(page, sites, folder, each)
    send(page, sites, f"Re: {subject}")
    assert b"Written by the owner of a passkey." in Sink(stack.info).raw(f"Re: {subject}")

    page.goto(f"{sites.webmail}?_task=mail&_mbox=INBOX")
    end_all_others(browser, sites, reader, code)
    page.locator("#messagelist").get_by_text("of the harbour").first.click()
    expect(page.get_by_text("Your session is invalid or expired.")).to_be_visible()
    page.locator("#rcmloginoauth").click()
    page.wait_for_url(f"{sites.account}login")
