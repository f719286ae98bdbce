"""The webmail as a person sees it, in a real browser, at a desk and on a phone."""

from __future__ import annotations

import re

import httpx
import pytest
from playwright.sync_api import expect

from tests.stack.clients import Edge, Sink, log_in_by_script, log_in_to_webmail, message


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


def test_a_host_name_that_is_not_ours_gets_no_answer(stack):
    with pytest.raises(httpx.RemoteProtocolError):
        httpx.get(stack.info["webmail"], headers={"Host": "attacker.example"}, timeout=30)


def test_the_installer_is_not_there(stack):
    assert httpx.get(f"{stack.info['webmail']}installer/", timeout=30).status_code in (403, 404)


def test_wrong_passwords_of_strangers_keep_nobody_out(stack, mailboxes):
    reader, home = mailboxes.new(), "203.0.113.67"
    # Roundcube counts for those whom it has seen.
    assert log_in_by_script(stack.info, reader.address, reader.password, client=home) == 302
    for _ in range(6):
        assert log_in_by_script(stack.info, reader.address, "a guess", client="198.51.100.67") == 401
    assert log_in_by_script(stack.info, reader.address, reader.password, client=home) == 302


def test_many_log_ins_from_one_address_are_slowed_down_and_others_are_not(stack):
    guesser = {"CF-Connecting-IP": "198.51.100.66"}
    answers = [httpx.post(stack.info["webmail"], headers=guesser, timeout=30).status_code for _ in range(60)]
    assert 429 in answers
    assert httpx.post(stack.info["webmail"], timeout=30).status_code != 429, "others are slowed down as well"


def test_a_guesser_with_a_network_of_ipv6_addresses_is_one_client(stack):
    url = f"{stack.info['webmail']}?_task=login"
    guessers = [{"CF-Connecting-IP": f"2001:db8:66:66::{number:x}"} for number in range(1, 61)]
    assert 429 in [httpx.post(url, headers=guesser, timeout=30).status_code for guesser in guessers]
    neighbour = {"CF-Connecting-IP": "2001:db8:66:67::1"}
    assert httpx.post(url, headers=neighbour, timeout=30).status_code != 429


#: Queries that nginx does not count; without a session, Roundcube takes the form of a log-in under any task.
UNCOUNTED = {
    "the form names the task": {"to": "?_task=mail"},
    "the task twice": {"to": "?_task=mail&_task=login"},
    "PHP's other spelling": {"to": "?_task=mail&.task=login"},
    "a cookie names the task": {"to": "?_task=mail", "cookies": {"_task": "login"}},
}


@pytest.mark.parametrize("way", UNCOUNTED.values(), ids=UNCOUNTED)
def test_a_log_in_that_is_not_counted_does_not_let_in(stack, mailboxes, way):
    reader = mailboxes.new()
    client = "203.0.113.68"
    assert log_in_by_script(stack.info, reader.address, reader.password, client=client, **way) != 302


def test_a_line_break_in_the_path_does_not_hide_a_log_in(stack):
    url = f"{stack.info['webmail']}index.php/%0A?_task=login"
    guesser = {"CF-Connecting-IP": "198.51.100.69"}
    assert 429 in [httpx.post(url, headers=guesser, timeout=30).status_code for _ in range(60)]


def test_the_settings_of_the_webmail_lead_to_the_account_pages(page, stack, mailboxes):
    reader = mailboxes.new()
    log_in_to_webmail(page, stack.info["webmail"], reader.address, reader.password)
    page.wait_for_url(re.compile(r"_task=mail"))
    page.goto(f"{stack.info['webmail']}?_task=settings")
    # The pages have their public name, which nothing here answers to.
    page.route(re.compile(r"^https://"), lambda route: route.fulfill(body="the account pages"))
    page.get_by_text("Account and password").click()
    expect(page.get_by_text("the account pages")).to_be_visible()
    assert re.fullmatch(r"https://account\.[\w.-]+/account", page.url)
