"""Three origins: the webmail under a Content-Security-Policy; accounts and administration, out of its reach.

What a hostile mail would try, tried in a real browser; and that everyday work violates no policy.
"""

from __future__ import annotations

import re
import socket
from base64 import b64decode
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Error, Frame, Page, Route, expect

from tests.stack.clients import Accounts, Mailbox, Mailboxes, Sink, log_in_to_webmail, message, visitor
from tests.stack.stack import eventually

PIXEL = "R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7"
ELSEWHERE = "https://collector.example"
FOLDER = Path(__file__).parent / "hostile"
# Ways in which mails have run script in webmails.
HOSTILE = FOLDER.joinpath("mail.html").read_text().replace("ELSEWHERE", ELSEWHERE)
# What such a script would do.
PAST_THE_FILTER = FOLDER.joinpath("script.js").read_text()


@dataclass
class Watched:
    """A page, what its policies had to stop, what script of a mail ran, and what was asked of elsewhere."""

    page: Page
    webmail: str
    violations: list[str] = field(default_factory=list)
    ran: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)

    def open(self, **query: str | int) -> None:
        """Open a page."""
        self.page.goto(f"{self.webmail}?{httpx.QueryParams(query)}")

    def read(self, subject: str) -> Frame:
        """Open the newest mail of that subject from the list and return the frame that shows it."""
        self.open(_task="mail")
        self.page.locator("#messagelist").get_by_text(subject).first.click()
        body = self.page.frame_locator("#messagecontframe").locator("#messagebody")
        expect(body).to_be_visible()
        return next(frame for frame in self.page.frames if "_action=preview" in frame.url)


# In one flavour only: webmail and administration are the same without a virus scanner.
pytestmark = pytest.mark.usefixtures("scanned")


@pytest.fixture(scope="module")
def reader(stack, accounts) -> Mailbox:
    """Somebody with a mailbox."""
    return Mailboxes(stack.info, accounts).new()


@pytest.fixture(scope="module")
def session(browser, stack, reader) -> Iterator[Watched]:
    """A browser in which the reader has logged in to webmail; every frame of it reports to us."""
    context = browser.new_context(viewport={"width": 1280, "height": 800}, locale="en-US")
    context.set_default_timeout(60_000)
    seen = Watched(context.new_page(), stack.info["webmail"])
    context.expose_function("violated", lambda what: seen.violations.append(what))
    context.expose_function("ran", lambda what: seen.ran.append(what))
    context.add_init_script(
        "addEventListener('securitypolicyviolation', e => violated("
        "[e.effectiveDirective, e.blockedURI, e.documentURI, e.sourceFile, e.lineNumber].join(' ')))"
    )

    def answer(route: Route) -> None:
        seen.asked.append(route.request.url)
        route.fulfill(body=b64decode(PIXEL), content_type="image/gif")

    context.route(f"{ELSEWHERE}/**", answer)
    log_in_to_webmail(seen.page, seen.webmail, reader.address, reader.password)
    seen.page.wait_for_url(re.compile(r"_task=mail"))
    yield seen
    context.close()


@pytest.fixture
def watched(session) -> Watched:
    """The browser of the reader, with nothing reported yet."""
    session.page.goto("about:blank")
    for reports in (session.violations, session.ran, session.asked):
        reports.clear()
    return session


def deliver(reader: Mailbox, subject: str, html: str) -> None:
    """Put a mail into the inbox, past the spam filter, which is not in question here."""
    mail = message(subject, to=reader.address)
    mail.add_alternative(html, subtype="html")
    assert reader.imap.append("INBOX", "", "", mail.as_bytes())[0] == "OK"


def test_pictures_from_elsewhere_come_only_when_the_reader_asks(watched, reader):
    picture = (
        f'<p>Our offers</p><img id="p" src="{ELSEWHERE}/p.gif"><img src="data:image/gif;base64,{PIXEL}">'
    )
    deliver(reader, "with a picture", f"<html><body>{picture}</body></html>")
    frame = watched.read("with a picture")
    assert watched.asked == []
    with watched.page.expect_request(f"{ELSEWHERE}/p.gif"):
        frame.get_by_role("link", name="Allow").or_(frame.locator("a[href='#loadremote']")).first.click()
    assert watched.violations == []


def test_a_mail_is_composed_with_an_editor_and_an_attachment_and_sent(watched, stack, reader):
    watched.open(_task="mail", _action="compose", _to="friend@far.example")
    watched.page.wait_for_url(re.compile(r"_id="))
    subject = f"from {reader.address}"
    watched.page.locator("input[name=_subject]").fill(subject)
    watched.page.locator("a.mce-i-html").click()
    editor = watched.page.frame_locator("iframe.tox-edit-area__iframe").locator("body[contenteditable=true]")
    editor.fill("Written in the editor.")
    chooser = watched.page.locator("input[type=file]").first
    chooser.set_input_files({"name": "list.txt", "mimeType": "text/plain", "buffer": b"bread, hat"})
    expect(
        watched.page.locator("#attachment-list li:not(.uploading)").get_by_text("list.txt")
    ).to_be_visible()
    watched.page.locator("button.send:visible, a.send:visible").first.click()
    sent = Sink(stack.info).raw(subject)
    assert b"Written in the editor." in sent and b"filename=list.txt" in sent.replace(b'"', b"")
    assert watched.violations == []


PAGES = (
    ("#sections-table", {"_task": "settings", "_action": "preferences"}),
    ("form", {"_task": "settings", "_action": "edit-prefs", "_section": "mailview", "_framed": 1}),
    ("#subscription-table", {"_task": "settings", "_action": "folders"}),
    ("#identities-table", {"_task": "settings", "_action": "identities"}),
    ("#filtersetslist", {"_task": "settings", "_action": "plugin.managesieve"}),
    ("form", {"_task": "settings", "_action": "plugin.managesieve-action", "_framed": 1}),
    ("#directorylist", {"_task": "addressbook"}),
    ("form", {"_task": "addressbook", "_action": "edit", "_framed": 1, "_source": 0}),
)


def test_settings_filters_and_contacts_violate_no_policy(watched):
    for shown, query in PAGES:
        watched.open(**query)
        expect(watched.page.locator(shown).first).to_be_visible()
    assert watched.violations == []


def test_a_script_in_a_mail_does_not_run(watched, reader):
    deliver(reader, "hostile", HOSTILE)
    frame = watched.read("hostile")
    frame.get_by_text("Click me").click()
    expect(frame.get_by_text("Read me.")).to_be_visible()
    assert (watched.ran, watched.asked) == ([], [])


@pytest.mark.parametrize("site", ["account_page", "admin_page"])
def test_a_script_that_got_past_the_filter_reaches_nothing_but_the_webmail(watched, stack, site):
    watched.open(_task="mail")
    tried = watched.page.evaluate(
        PAST_THE_FILTER,
        [ELSEWHERE, stack.info[site]],
    )
    assert {tried[name] for name in ("fetchElsewhere", "fetchAdmin", "script", "style")} == {"stopped"}, tried
    watched.page.wait_for_function("document.readyState === 'complete'")
    assert watched.asked == []
    stopped = " ".join(watched.violations)
    for directive in ("connect-src", "script-src-elem", "style-src-elem", "frame-src", "form-action"):
        assert directive in stopped, watched.violations


def test_the_sites_share_no_cookie(watched, stack, reader):
    context = watched.page.context
    admin = context.new_page()
    admin.goto(stack.info["admin_page"])
    expect(admin.get_by_label("Password")).to_be_visible()
    admin.get_by_label("Address").fill(stack.info["admin"])
    admin.get_by_label("Password").fill(stack.info["admin_password"])
    admin.keyboard.press("Enter")
    expect(admin.get_by_role("link", name="Mailboxes").first).to_be_attached()
    # Whoever is in the webmail is logged in there.
    admin.goto(stack.info["account_page"])
    expect(admin.get_by_role("heading", name="App passwords")).to_be_visible()
    cookies = {
        site: {(cookie["name"], cookie["domain"]) for cookie in context.cookies(stack.info[site])}
        for site in ("webmail", "account_page", "admin_page")
    }
    webmail, ours = ("roundcube_sessid", "roundcube_sessauth"), ("usermgmt", "device")
    assert cookies == {
        "webmail": {(name, "127.0.0.1") for name in webmail},
        "account_page": {(name, "account.localhost") for name in ours},
        "admin_page": {(name, "localhost") for name in ours},
    }


@pytest.mark.parametrize("site", ["account_page", "admin_page"])
def test_no_other_site_can_be_opened_by_script_of_the_webmail(watched, stack, site):
    watched.open(_task="mail")
    with watched.page.context.expect_page() as opened:
        watched.page.evaluate("url => { window.opened = window.open(url) }", stack.info[site])
    opened.value.wait_for_load_state()
    with pytest.raises(Error, match="SecurityError"):
        watched.page.evaluate("() => window.opened.document.body.innerHTML")


def test_the_webmail_serves_no_page_of_the_administration(stack):
    for path in ("admin", "admin/", "admin/login"):
        answer = httpx.get(f"{stack.info['webmail']}{path}", timeout=30)
        assert answer.status_code in (403, 404) and "usermgmt" not in answer.headers.get("Set-Cookie", "")


def test_the_account_site_serves_no_page_of_the_administration_whatever_host_a_request_names(stack):
    """Nor by a request line that names one site and a header that names the other: Access saw one."""
    account, admin = httpx.URL(stack.info["account_page"]), httpx.URL(stack.info["admin_page"])
    for path in ("domains", "mailboxes", "api/v1/domains", "ready"):
        with visitor(str(account)) as somebody:
            # Browsers of the tests before this one come from the same address, and nginx counts by that.
            answer = eventually(lambda p=path, s=somebody: (a := s.get(p)).status_code != 429 and a)
            assert answer.status_code == 404, path
    ask = f"GET http://{account.netloc.decode()}/domains HTTP/1.1\r\nHost: {admin.netloc.decode()}\r\n\r\n"
    with socket.create_connection(("127.0.0.1", account.port), timeout=30) as connection:
        connection.sendall(ask.encode())
        status = connection.makefile("rb").readline().split()[1]
    assert status in (b"400", b"404")


HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Strict-Transport-Security": "max-age=31536000",
}


@pytest.mark.parametrize(
    ("site", "path", "frames", "policy"),
    [
        ("webmail", "", "SAMEORIGIN", "frame-ancestors 'self'"),
        ("webmail", "nothing", "SAMEORIGIN", "frame-ancestors 'self'"),
        ("account_page", "login", "DENY", "default-src 'none'; style-src 'self'"),
        ("admin_page", "login", "DENY", "default-src 'none'; style-src 'self'"),
        ("admin_page", "nothing", "DENY", "default-src 'none'; style-src 'self'"),
    ],
    ids=["webmail", "webmail's errors", "account", "administration", "administration's errors"],
)
def test_each_header_that_protects_is_sent_once_and_as_its_site_needs_it(stack, site, path, frames, policy):
    with visitor(stack.info[site], {"X-Forwarded-Proto": "https"}) as somebody:
        # The webmail's first page leads to the log-in, on another site.
        headers = somebody.get(path, follow_redirects=False).headers
    for name, value in {**HEADERS, "X-Frame-Options": frames}.items():
        assert headers.get_list(name) == [value], name
    assert "geolocation=()" in headers["Permissions-Policy"]
    assert [policy in each for each in headers.get_list("Content-Security-Policy")] == [True]
    assert "nginx/" not in headers.get("Server", "") and "X-Powered-By" not in headers


@pytest.mark.parametrize(("number", "path"), [(0, "login"), (1, "login/second"), (2, "password")])
def test_many_guesses_are_slowed_down_by_a_page_that_is_protected_as_well(stack, number, path):
    guesser = {"CF-Connecting-IP": f"198.51.100.{67 + number}"}
    with visitor(stack.info["account_page"], guesser) as http:
        refused = next(answer for _ in range(60) if (answer := http.post(path)).status_code == 429)
    assert refused.headers["X-Frame-Options"] == "DENY"
    assert refused.headers["Content-Security-Policy"].startswith(
        "default-src 'none'; style-src 'unsafe-inline'"
    )
    with visitor(stack.info["account_page"]) as other:
        assert other.get("login").status_code == 200, "others are slowed down as well"


def test_the_audit_log_names_the_client_that_cloudflare_names(stack):
    client = {"CF-Connecting-IP": "198.51.100.77", "X-Forwarded-For": "203.0.113.99"}
    Accounts(stack.info, headers=client)
    sql = "SELECT client_address FROM login_attempts WHERE outcome = 'success' ORDER BY id DESC LIMIT 1"
    command = f'MYSQL_PWD=$(cat /run/secrets/mariadb_root_password) mariadb -N -uroot mailserver -e "{sql}"'
    assert stack.exec("mariadb", "sh", "-c", command).strip() == "198.51.100.77"
