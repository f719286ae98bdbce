"""What people do on the pages of usermgmt, at a desk and on a phone, followed to IMAP and SMTP."""

from __future__ import annotations

from uuid import uuid4

import pyotp
from playwright.sync_api import Page, expect

from tests.stack.clients import PASSWORD, Edge, Mailbox, Mailboxes, Sink, message
from tests.stack.stack import Stack, eventually
from tests.stack.test_accounts import verdicts
from tests.stack.test_mail_page import suspicious
from tests.stack.test_usermgmt_account import opens

CHOSEN = "seven cold lanterns upstream"
SOON = 2


def go(page: Page, stack: Stack, path: str, site: str = "admin_page") -> None:
    """Open a page of usermgmt; none is wider than the screen."""
    page.goto(f"{stack.info[site]}{path}")
    width = page.evaluate("document.documentElement.scrollWidth")
    assert width <= page.viewport_size["width"], f"{path} is wider than the screen"


def log_in(page: Page, stack: Stack, address: str, password: str, site: str = "admin_page") -> None:
    """Fill in the log-in page."""
    go(page, stack, "login", site)
    page.get_by_label("Address").fill(address)
    page.get_by_label("Password").fill(password)
    page.keyboard.press("Enter")


def as_owner(page: Page, stack: Stack) -> None:
    """Log in as the server's owner."""
    log_in(page, stack, stack.info["admin"], stack.info["admin_password"])
    expect(page.get_by_role("button", name="Log out", exact=True)).to_be_visible()


def as_reader(page: Page, stack: Stack, box: Mailbox) -> None:
    """Log in as somebody with a mailbox and nothing else."""
    log_in(page, stack, box.address, box.password, "account_page")
    expect(page.get_by_role("heading", name="App passwords")).to_be_visible()


def again(box: Mailbox, password: str = "") -> Mailbox:
    """The same mailbox in a mail program that is not open yet."""
    return Mailbox(box.address, box.info, password or box.password)


def test_an_owner_adds_a_mailbox_and_an_alias_and_disables_and_enables_them(
    page: Page, stack: Stack, mailboxes: Mailboxes
) -> None:
    box, alias = Mailbox(mailboxes.address("hired"), stack.info, CHOSEN), mailboxes.address("team")
    as_owner(page, stack)
    go(page, stack, "mailboxes/new")
    page.get_by_label("Address").fill(box.address)
    page.get_by_label("Use this one:").check()
    page.get_by_label("New password").fill(CHOSEN)
    page.get_by_role("button", name="Add mailbox").click()
    expect(page.get_by_role("heading", name=box.address)).to_be_visible()
    eventually(lambda: opens(box), SOON)
    own_page = page.url.removeprefix(stack.info["admin_page"])

    go(page, stack, "aliases/new")
    page.get_by_label("Mail to").fill(alias)
    page.get_by_label("goes to").fill(box.address)
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("heading", name=alias)).to_be_visible()
    eventually(lambda: verdicts(stack, alias) == [250], SOON)

    for button, state in (("Disable", "Disabled"), ("Enable", "Enabled")):
        go(page, stack, own_page)
        page.get_by_role("button", name=button).click()
        expect(page.get_by_text(state, exact=True)).to_be_visible()
        on = button == "Enable"
        eventually(lambda on=on: opens(again(box)) == on, SOON)
        eventually(lambda on=on: verdicts(stack, box.address) == [250 if on else 550], SOON)


def test_an_owner_deletes_a_mailbox_and_takes_it_back_with_its_mail(
    page: Page, stack: Stack, mailboxes: Mailboxes
) -> None:
    box = mailboxes.new()
    assert Edge(stack.info).post(message("kept", to=box.address), box.address).status_code == 200
    assert box.read("kept")
    as_owner(page, stack)
    go(page, stack, f"mailboxes?q={box.address}")
    page.get_by_role("link", name=box.address).first.click()
    page.get_by_role("link", name="Delete this mailbox").click()
    page.get_by_role("button", name="Delete").click()
    expect(page.get_by_role("heading", name="Mailboxes", exact=True)).to_be_visible()
    eventually(lambda: not opens(again(box)), SOON)
    eventually(lambda: verdicts(stack, box.address) == [550], SOON)
    go(page, stack, f"mailboxes/deleted?q={box.address}")
    page.get_by_role("button", name=f"Restore {box.address}").click()
    expect(page.get_by_role("heading", name=box.address)).to_be_visible()
    eventually(lambda: opens(again(box)), SOON)
    assert again(box).find("kept") and verdicts(stack, box.address) == [250]


def test_an_owner_imports_a_table_that_is_only_checked_first(
    page: Page, stack: Stack, mailboxes: Mailboxes
) -> None:
    box, alias = Mailbox(mailboxes.address("listed"), stack.info, CHOSEN), mailboxes.address("listed-too")
    table = f"address,quota,destinations,password\n{box.address},1G,,{CHOSEN}\n{alias},,{box.address},\n"
    file = {"name": "people.csv", "mimeType": "text/csv", "buffer": table.encode()}
    as_owner(page, stack)
    for apply in (False, True):
        go(page, stack, "import")
        page.get_by_label("File", exact=True).set_input_files(file)
        page.get_by_label("Add them.").set_checked(apply)
        page.get_by_role("button", name="Send the file").click()
        said = "Added: mailboxes 1, aliases 1." if apply else "Nothing was changed yet."
        expect(page.get_by_role("status")).to_contain_text(said)
        eventually(lambda apply=apply: verdicts(stack, alias) == [250 if apply else 550], SOON)
    eventually(lambda: opens(box), SOON)


def test_somebody_new_chooses_a_password_with_the_link_of_an_owner(
    page: Page, stack: Stack, mailboxes: Mailboxes
) -> None:
    box = Mailbox(mailboxes.address("new"), stack.info, CHOSEN)
    as_owner(page, stack)
    go(page, stack, "mailboxes/new")
    page.get_by_label("Address").fill(box.address)
    page.get_by_label("Make a link").check()
    page.get_by_role("button", name="Add mailbox").click()
    link = page.locator(".secret").inner_text()
    assert link.startswith(stack.info["account_page"])
    page.goto(link)
    page.get_by_label("New password", exact=True).fill(CHOSEN)
    page.get_by_label("New password again").fill(CHOSEN)
    page.keyboard.press("Enter")
    expect(page.get_by_text("Your password was set.")).to_be_visible()
    eventually(lambda: opens(box), SOON)


def test_a_reader_changes_the_password_and_is_away(page: Page, stack: Stack, mailboxes: Mailboxes) -> None:
    reader, subject = mailboxes.new("away"), f"away {uuid4()}"
    as_reader(page, stack, reader)
    page.get_by_label("Current password").first.fill(PASSWORD)
    page.get_by_label("New password", exact=True).fill(CHOSEN)
    page.get_by_label("New password again").fill(CHOSEN)
    page.get_by_role("button", name="Change password").click()
    expect(page.get_by_text("Your password was changed")).to_be_visible()
    eventually(lambda: opens(again(reader, CHOSEN)), SOON)
    eventually(lambda: not opens(again(reader)), SOON)

    go(page, stack, "account/mail", "account_page")
    page.get_by_label("Reply to people who write to me").check()
    page.get_by_label("Subject (optional)").fill(subject)
    page.get_by_label("Text").fill("Back on Monday.")
    page.get_by_role("button", name="Save").first.click()
    expect(page.get_by_label("Reply to people who write to me")).to_be_checked()
    mail = message("hello", sender="friend@far.example", to=reader.address)
    assert Edge(stack.info).post(mail, reader.address, sender="friend@far.example").status_code == 200
    assert b"Back on Monday." in Sink(stack.info).raw(subject)


def test_with_a_second_factor_a_reader_reads_and_sends_by_an_app_password_only(
    page: Page, stack: Stack, mailboxes: Mailboxes
) -> None:
    reader, friend = mailboxes.new(), mailboxes.new()
    as_reader(page, stack, reader)
    page.get_by_text("Add an app password").first.click()
    page.get_by_label("Name").fill("Phone")
    page.get_by_label("Your password").last.fill(PASSWORD)
    page.get_by_role("button", name="Add an app password").click()
    program = again(reader, page.locator(".secret").inner_text())
    go(page, stack, "account/totp", "account_page")
    page.get_by_role("textbox", name="Code").fill(pyotp.TOTP(page.locator("code").inner_text()).now())
    page.get_by_role("button", name="Turn on").click()
    recovery = page.locator(".secret code").first.inner_text()

    eventually(lambda: not opens(again(reader)), SOON)
    assert opens(program)
    program.send(message("by the phone", sender=reader.address, received=False), friend.address)
    assert friend.read("by the phone")
    page.context.clear_cookies()
    log_in(page, stack, reader.address, PASSWORD, "account_page")
    page.get_by_role("textbox", name="Code").fill(recovery)
    page.get_by_role("button", name="Log in", exact=True).click()
    page.get_by_role("button", name="Revoke Phone").click()
    expect(page.get_by_role("button", name="Revoke Phone")).to_have_count(0)
    eventually(lambda: not opens(again(program)), SOON)


def test_a_reader_has_mail_forwarded_to_somebody_else_here(
    page: Page, stack: Stack, mailboxes: Mailboxes
) -> None:
    reader, friend = mailboxes.new(), mailboxes.new()
    as_reader(page, stack, reader)
    go(page, stack, "account/mail", "account_page")
    page.get_by_label("Forward mail to").fill(friend.address)
    page.get_by_label("Keep a copy").check()
    page.get_by_role("button", name="Save").last.click()
    expect(page.get_by_label("Forward mail to")).to_have_value(friend.address)
    assert Edge(stack.info).post(message("passed on", to=reader.address), reader.address).status_code == 200
    assert friend.read("passed on") and reader.read("passed on")


def test_a_reader_takes_a_mail_out_of_junk(page: Page, stack: Stack, mailboxes: Mailboxes) -> None:
    reader = mailboxes.new()
    answer = Edge(stack.info).post(suspicious("wanted after all", reader.address), reader.address)
    assert answer.status_code == 200 and reader.read("wanted after all", "Junk")
    as_reader(page, stack, reader)
    go(page, stack, "mail", "account_page")
    page.get_by_role("link", name="wanted after all").click()
    expect(page.get_by_text("It has no date.")).to_be_visible()
    page.get_by_role("button", name="Not spam").click()
    expect(page.get_by_text("It was moved to the inbox.")).to_be_visible()
    eventually(lambda: reader.find("wanted after all"), SOON)
