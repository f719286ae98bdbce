"""What a person sees: webmail and the pages of usermgmt in a real browser, at a desk and on a phone."""

from __future__ import annotations

import re
from collections.abc import Iterator
from uuid import uuid4

import httpx
import pytest
from playwright.sync_api import Page, expect

from tests.stack.clients import PASSWORD, Edge, Mailbox, Sink, log_in_to_webmail, message
from tests.stack.stack import ARTIFACTS, Stack, eventually
from tests.stack.test_accounts import verdicts
from tests.stack.test_usermgmt_account import opens

CHOSEN = "seven cold lanterns upstream"
DESK, PHONE = {"width": 1280, "height": 800}, {"width": 390, "height": 844}


@pytest.fixture(params=[DESK, PHONE], ids=["desk", "phone"])
def page(request, browser, stack) -> Iterator[Page]:
    context = browser.new_context(viewport=request.param, locale="en-US")
    context.set_default_timeout(30_000)
    page = context.new_page()
    yield page
    name = re.sub(r"[^a-z0-9]+", "-", request.node.name.lower()).strip("-")
    ARTIFACTS.joinpath("screenshots").mkdir(parents=True, exist_ok=True)
    page.screenshot(path=ARTIFACTS / "screenshots" / f"{name}.png")
    context.close()


def test_a_reader_logs_in_to_webmail_and_sees_the_mail(page, stack, mailboxes):
    reader = mailboxes.new()
    edge = Edge(stack.info)
    assert edge.post(message("seen in the browser", to=reader.address), reader.address).status_code == 200
    reader.read("seen in the browser")
    log_in_to_webmail(page, stack.info["webmail"], reader.address, reader.password)
    page.wait_for_url(re.compile(r"_task=mail"))
    expect(page.get_by_text("seen in the browser").first).to_be_visible()


def test_a_wrong_password_is_refused_by_webmail(page, stack, mailboxes):
    reader = mailboxes.new()
    log_in_to_webmail(page, stack.info["webmail"], reader.address, "not the password")
    expect(page.get_by_text("Login failed").first).to_be_visible()


def test_a_mail_written_in_webmail_reaches_the_world(page, stack, mailboxes):
    writer = mailboxes.new()
    log_in_to_webmail(page, stack.info["webmail"], writer.address, writer.password)
    page.wait_for_url(re.compile(r"_task=mail"))
    # Roundcube keeps the new mail in the session, which a list that is still being fetched would write over.
    page.wait_for_load_state("networkidle")
    page.goto(f"{stack.info['webmail']}?_task=mail&_action=compose&_to=friend@far.example")
    page.wait_for_url(re.compile(r"_id="))
    subject = f"from the browser {page.viewport_size['width']}"
    page.locator("input[name=_subject]").fill(subject)
    page.locator("textarea[name=_message]").fill("Written in a browser.")
    page.locator("button.send:visible, a.send:visible").first.click()
    assert b"Written in a browser." in Sink(stack.info).raw(subject)
    assert writer.read(subject, "Sent")


def log_in(page: Page, stack: Stack, address: str, password: str) -> None:
    """Fill in the log-in page of usermgmt."""
    page.goto(stack.info["admin_page"])
    page.get_by_label("Address").fill(address)
    page.get_by_label("Password").fill(password)
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Log out", exact=True)).to_be_visible()


def test_an_administrator_logs_in_and_makes_a_mailbox(page, stack, mailboxes):
    log_in(page, stack, stack.info["admin"], stack.info["admin_password"])
    page.goto(f"{stack.info['admin_page']}mailboxes/new")
    address = mailboxes.address("browser")
    page.get_by_label("Address").fill(address)
    page.get_by_role("main").get_by_role("button").click()
    expect(page.get_by_text(address).first).to_be_visible()
    width = page.evaluate("document.documentElement.scrollWidth")
    assert width <= page.viewport_size["width"], "the page is wider than the screen"


def test_what_an_administrator_does_in_a_browser_acts_on_imap_and_smtp_within_two_seconds(
    page, stack, mailboxes
):
    box, alias = Mailbox(mailboxes.address("hired"), stack.info, CHOSEN), mailboxes.address("team")
    log_in(page, stack, stack.info["admin"], stack.info["admin_password"])
    page.goto(f"{stack.info['admin_page']}mailboxes/new")
    page.get_by_label("Address").fill(box.address)
    page.get_by_label("Use this one:").check()
    page.get_by_label("New password").fill(CHOSEN)
    page.get_by_role("button", name="Add mailbox").click()
    expect(page.get_by_role("heading", name=box.address)).to_be_visible()
    eventually(lambda: opens(box), 2)
    own_page = page.url

    page.goto(f"{stack.info['admin_page']}aliases/new")
    page.get_by_label("Mail to").fill(alias)
    page.get_by_label("goes to").fill(box.address)
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("heading", name=alias)).to_be_visible()
    eventually(lambda: verdicts(stack, alias) == [250], 2)

    for button, state in (("Disable", "Disabled"), ("Enable", "Enabled")):
        page.goto(own_page)
        page.get_by_role("button", name=button).click()
        expect(page.get_by_text(state, exact=True)).to_be_visible()
        on = button == "Enable"
        eventually(lambda on=on: opens(Mailbox(box.address, stack.info, CHOSEN)) == on, 2)
        eventually(lambda on=on: verdicts(stack, box.address) == [250 if on else 550], 2)


def test_a_password_and_a_reply_chosen_in_a_browser_act_on_imap_and_on_mail(page, stack, mailboxes):
    reader, subject = mailboxes.new("away"), f"away {uuid4()}"
    log_in(page, stack, reader.address, PASSWORD)
    page.goto(f"{stack.info['admin_page']}account")
    page.get_by_label("Current password").first.fill(PASSWORD)
    page.get_by_label("New password", exact=True).fill(CHOSEN)
    page.get_by_label("New password again").fill(CHOSEN)
    page.get_by_role("button", name="Change password").click()
    expect(page.get_by_role("heading", name="App passwords")).to_be_visible()
    eventually(lambda: opens(Mailbox(reader.address, stack.info, CHOSEN)), 2)
    eventually(lambda: not opens(reader), 2)

    page.goto(f"{stack.info['admin_page']}account/mail")
    page.get_by_label("Reply to people who write to me").check()
    page.get_by_label("Subject (optional)").fill(subject)
    page.get_by_label("Text").fill("Back on Monday.")
    page.get_by_role("button", name="Save").first.click()
    expect(page.get_by_label("Reply to people who write to me")).to_be_checked()
    mail = message("hello", sender="friend@far.example", to=reader.address)
    assert Edge(stack.info).post(mail, reader.address, sender="friend@far.example").status_code == 200
    assert b"Back on Monday." in Sink(stack.info).raw(subject)


def test_a_host_name_that_is_not_ours_gets_no_answer(stack):
    with pytest.raises(httpx.RemoteProtocolError):
        httpx.get(stack.info["webmail"], headers={"Host": "attacker.example"}, timeout=30)


def test_the_installer_is_not_there(stack):
    assert httpx.get(f"{stack.info['webmail']}installer/", timeout=30).status_code in (403, 404)


def test_many_wrong_log_ins_are_slowed_down(stack):
    guesser = {"CF-Connecting-IP": "198.51.100.66"}
    answers = [httpx.post(stack.info["webmail"], headers=guesser, timeout=30).status_code for _ in range(60)]
    assert 429 in answers
    assert httpx.get(stack.info["webmail"], timeout=30).status_code == 200, "others are slowed down as well"


def test_the_settings_of_the_webmail_lead_to_the_account_pages(page, stack, mailboxes):
    reader = mailboxes.new()
    log_in_to_webmail(page, stack.info["webmail"], reader.address, reader.password)
    page.wait_for_url(re.compile(r"_task=mail"))
    page.goto(f"{stack.info['webmail']}?_task=settings")
    # The pages have their public name, which nothing here answers to.
    page.route(re.compile(r"^https://"), lambda route: route.fulfill(body="the account pages"))
    page.get_by_text("Account and password").click()
    expect(page.get_by_text("the account pages")).to_be_visible()
    assert re.fullmatch(r"https://[\w.-]+/account", page.url)
