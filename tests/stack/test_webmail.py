"""The webmail as a person sees it, in a real browser, at a desk and on a phone."""

from __future__ import annotations

import re

import httpx
import pyotp
import pytest
from playwright.sync_api import expect

from tests.stack.clients import Accounts, Edge, Sink, Webmail, log_in_to_webmail, message
from tests.stack.managesieve import ManageSieve


def test_a_reader_logs_in_to_webmail_and_sees_the_mail(page, stack, mailboxes):
    reader = mailboxes.new()
    edge = Edge(stack.info)
    assert edge.post(message("seen in the browser", to=reader.address), reader.address).status_code == 200
    reader.read("seen in the browser")
    log_in_to_webmail(page, stack.info["webmail"], reader.address, reader.password)
    page.wait_for_url(re.compile(r"_task=mail"))
    expect(page.get_by_text("seen in the browser").first).to_be_visible()


def test_a_reader_with_a_second_factor_gives_it_once_for_webmail_and_account(page, stack, mailboxes):
    reader = mailboxes.new()
    pages = Accounts.of_reader(stack.info, reader.address)
    secret = re.search(r'class="address">([A-Z2-7]{32})<', pages.http.get("account/totp").text)[1]
    codes = pages.submit("account/totp", "account/totp", code=pyotp.TOTP(secret).now()).text
    log_in_to_webmail(page, stack.info["webmail"], reader.address, reader.password)
    page.get_by_role("textbox", name="Code").fill(re.search(r"(\w{4}-\w{4}-\w{4})", codes)[1])
    page.get_by_role("button", name="Log in", exact=True).click()
    page.wait_for_url(re.compile(r"_task=mail"))
    page.goto(f"{stack.info['account_page']}account")
    expect(page.get_by_role("heading", name="App passwords")).to_be_visible()


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
    assert Webmail(stack.info, home).log_in(reader.address, reader.password).status_code == 302
    for _ in range(6):
        stranger = Webmail(stack.info, "198.51.100.67")
        assert stranger.log_in(reader.address, "a guess").status_code in (401, 429)
    assert Webmail(stack.info, home).log_in(reader.address, reader.password).status_code == 302


@pytest.mark.parametrize("to", ["?_task=login", "?_task=mail", "?_task=mail&_task=login"])
def test_the_webmail_itself_takes_no_password(stack, mailboxes, to):
    reader = mailboxes.new()
    form = {"_task": "login", "_action": "login", "_user": reader.address, "_pass": reader.password}
    with httpx.Client(base_url=stack.info["webmail"], timeout=30) as http:
        # The page that refuses has what Roundcube's own form would send along.
        token = re.search(r'"request_token":"([^"]+)"', http.post(to, data=form).text)
        assert token, "no page to log in from"
        assert http.post(to, data={**form, "_token": token[1]}).status_code == 401


def test_many_requests_for_a_token_are_slowed_down_and_those_of_others_are_not(stack):
    url = f"{stack.info['webmail']}index.php/login/oauth?code=guessed&state=guessed"
    guesser = {"CF-Connecting-IP": "198.51.100.66"}
    assert 429 in [httpx.get(url, headers=guesser, timeout=30).status_code for _ in range(60)]
    assert httpx.get(url, timeout=30).status_code != 429, "others are slowed down as well"


def in_webmail(webmail):
    """Whether the webmail shows mail; else it leads to the log-in."""
    answer = webmail.http.get("?_task=mail")
    assert answer.status_code == 200 or "/oidc/authorize?" in webmail.http.get("").headers["Location"]
    return answer.status_code == 200 and "messagelist" in answer.text


def test_who_leaves_the_webmail_leaves_the_account_pages_too(stack, mailboxes):
    reader, webmail = mailboxes.new(), Webmail(stack.info)
    webmail.log_in(reader.address, reader.password)
    shown = webmail.http.get("?_task=mail").text
    token = re.search(r'"request_token":"([^"]+)"', shown)[1]
    left = webmail.http.get(f"?_task=logout&_token={token}")
    assert webmail.account.get("account").url.path == "/account"
    webmail.account.get(Webmail.path(left))
    assert webmail.account.get("account").url.path == "/login"


@pytest.mark.parametrize("way", ["its session", "the mailbox", "the password"])
def test_a_webmail_ends_at_its_next_request_with(stack, mailboxes, accounts, way):
    reader, webmail = mailboxes.new(), Webmail(stack.info)
    webmail.log_in(reader.address, reader.password)
    assert in_webmail(webmail)
    if way == "its session":
        Accounts.of_reader(stack.info, reader.address).submit("account", "account/sessions/end-others")
    elif way == "the mailbox":
        accounts.switch(reader.address, "no")
    else:
        accounts.change_password(reader.address, "seven cold lanterns upstream")
    assert not in_webmail(webmail)


def test_while_usermgmt_is_down_who_is_in_the_webmail_stays_in(stack, mailboxes):
    reader, webmail = mailboxes.new(), Webmail(stack.info)
    webmail.log_in(reader.address, reader.password)
    stack.docker("pause", "usermgmt")
    try:
        assert in_webmail(webmail)
    finally:
        stack.docker("unpause", "usermgmt")


def test_the_settings_of_the_webmail_lead_to_the_account_pages(page, stack, mailboxes):
    reader = mailboxes.new()
    log_in_to_webmail(page, stack.info["webmail"], reader.address, reader.password)
    page.wait_for_url(re.compile(r"_task=mail"))
    page.goto(f"{stack.info['webmail']}?_task=settings")
    page.get_by_text("Account and password").click()
    expect(page.get_by_role("heading", name="App passwords")).to_be_visible()


class Filters:
    """The filters of somebody's webmail, saved as its pages save them, and what Dovecot then holds."""

    def __init__(self, stack, mailbox):
        self.webmail, self.sieve = Webmail(stack.info), ManageSieve(stack, mailbox)
        self.webmail.log_in(mailbox.address, mailbox.password)

    def save(self, action="save", files=None, **form):
        """What the page says."""
        path = "?_task=settings&_framed=1&_action=plugin.managesieve"
        token = re.search(r'"request_token":"([^"]+)"', self.webmail.http.get(f"{path}-action").text)[1]
        answer = self.webmail.http.post(f"{path}-{action}", data={"_token": token, **form}, files=files)
        assert answer.status_code == 200, answer.text
        return answer.text.replace("\\/", "/")

    def redirect(self, target):
        """Save a filter of the form that has one redirect."""
        names = {"_name": f"to {target}", "_enabled": "1", "_join": "any", "_rule_size_item[0]": ""}
        return self.save(**names, **{"_action_type[0]": "redirect", "_action_target[0]": target})

    def kept(self):
        """All scripts."""
        names = re.findall(r'^"([^"]+)"', self.sieve.ask("LISTSCRIPTS"), re.MULTILINE)
        return "\n".join(self.sieve.ask(f'GETSCRIPT "{name}"') for name in names)


def test_a_filter_s_redirect_to_another_domain_is_refused_in_words_however_it_is_saved(stack, mailboxes):
    reader = mailboxes.new()
    filters, own = Filters(stack, reader), f"colleague@{reader.address.partition('@')[2]}"
    outside, words = 'keep; redirect :copy "friend@far.example";', "Not saved. To forward to another domain"
    file = {"_newset": "1", "_from": "file"}
    # Neither a comment nor the word in a text is a redirect.
    by_hand = f'# redirect "friend@far.example";\nif header :is "subject" "redirect" {{ redirect "{own}"; }}'
    for said in (
        filters.redirect(own),
        filters.save(files={"_file": ("own.txt", f'redirect "{own}";')}, _name="hand", **file),
        filters.save("saveraw", _set="hand", rawsetcontent=by_hand),
    ):
        assert words not in said and '"confirmation"' in said, said
    kept = filters.kept()
    assert kept.count(f'redirect "{own}"') == 2 and by_hand in kept, kept
    for said in (
        filters.redirect("friend@far.example"),
        filters.save(files={"_file": ("own.txt", outside)}, _name="more", **file),
        filters.save("saveraw", _set="hand", rawsetcontent=outside),
    ):
        assert words in said and f"{stack.info['account_page']}account/mail" in said, said
    assert filters.kept() == kept
