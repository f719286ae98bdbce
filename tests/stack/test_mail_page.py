"""Refused and junked mail on the account pages, and what a move there does to the mailbox over IMAP."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from email.message import EmailMessage

import httpx
import pytest

from tests.stack.clients import RECEIVED, Accounts, Edge, Mailbox, Mailboxes, message
from tests.stack.stack import Stack, eventually

SOON = 2


@pytest.fixture
def reader(mailboxes: Mailboxes) -> Mailbox:
    """Somebody new, with no mail yet."""
    return mailboxes.new()


@pytest.fixture
def pages(stack: Stack, reader: Mailbox) -> Iterator[Accounts]:
    """The account pages in that person's browser."""
    own = Accounts.of_reader(stack.info, reader.address)
    yield own
    own.http.close()


def listed(pages: Accounts, subject: str, **query: str) -> str:
    """The path of the page of a mail; empty while it is not listed."""
    page = pages.http.get("mail", params=query).text
    found = re.search(r'href="/?(mail/\d+)">' + re.escape(subject), page)
    return found[1] if found else ""


def suspicious(subject: str, to: str, sender: str = "writer@sender.example") -> EmailMessage:
    """A mail that goes to Junk for what its header lacks."""
    mail = message(subject, to=to, sender=sender)
    for header in ("Date", "Message-ID", "To", "MIME-Version"):
        del mail[header]
    return mail


def learned(stack: Stack) -> int:
    """How many mails rspamd has learned."""
    password = stack.secret("rspamd_controller_password")
    printed = stack.exec("rspamd", "rspamc", "-h", "127.0.0.1:11334", "-P", password, "stat")
    return int(next(ln for ln in printed.splitlines() if ln.startswith("Messages learned")).split()[-1])


def test_a_refused_mail_is_listed_with_its_reason_within_two_seconds(
    stack: Stack, reader: Mailbox, pages: Accounts, accounts: Accounts, mailboxes: Mailboxes
) -> None:
    mail = message("too long to pass", to=reader.address)
    mail["X-Long"] = " ".join(["x" * 70] * 900)
    assert Edge(stack.info).post(mail, reader.address).status_code == 422
    path = eventually(lambda: listed(pages, "too long to pass"), SOON)
    page = pages.http.get(path).text
    assert "too long to be passed on whole" in page and "never stored" in page
    assert listed(accounts, "too long to pass", q=reader.address), "an owner sees it as well"
    assert accounts.http.get(path).status_code == 200
    other = mailboxes.new()
    stranger = Accounts.of_reader(stack.info, other.address)
    assert not listed(stranger, "too long to pass") and stranger.http.get(path).status_code == 404


def test_a_junked_mail_is_released_and_the_filter_learns_within_two_seconds(
    stack: Stack, reader: Mailbox, pages: Accounts
) -> None:
    edge = Edge(stack.info)
    for subject in ("kept cheap", "wanted cheap"):
        assert edge.post(suspicious(subject, reader.address), reader.address).status_code == 200
        assert reader.read(subject, "Junk")
    path = eventually(lambda: listed(pages, "wanted cheap"), SOON)
    assert "It has no date." in pages.http.get(path).text
    before = learned(stack)
    pages.submit(path, f"{path}/move", target="inbox")
    eventually(lambda: reader.find("wanted cheap"), SOON)
    assert not reader.find("wanted cheap", "Junk") and reader.find("kept cheap", "Junk")
    eventually(lambda: learned(stack) > before, SOON)
    pages.submit(path, f"{path}/move", target="junk")
    eventually(lambda: reader.find("wanted cheap", "Junk"), SOON)
    assert "app-passwords/" not in pages.http.get("account").text.replace("app-passwords/new", "")


def test_mail_passes_while_the_pages_are_down_and_is_listed_afterwards(
    stack: Stack, reader: Mailbox, pages: Accounts
) -> None:
    stack.docker("pause", "usermgmt")
    try:
        answer = Edge(stack.info).post(message("meanwhile", to=reader.address), reader.address)
        assert answer.status_code == 200 and reader.read("meanwhile")
    finally:
        stack.docker("unpause", "usermgmt")
    eventually(lambda: listed(pages, "meanwhile", outcome="all"), 30)


@pytest.fixture
def proven(stack: Stack) -> Iterator[str]:
    """A domain for which the server of RECEIVED may send, as rspamd's DNS says."""
    record = {"name": "proven.example", "type": "txt", "replies": ["v=spf1 ip4:203.0.113.7 ?all"]}
    file = stack.repository / "config/rspamd/override.d/options.inc"
    file.write_text(f"dns {{ fake_records = {json.dumps([record])}; }}\n")
    file.chmod(0o644)
    stack.docker("restart", "rspamd")
    try:
        stack.healthy("rspamd")
        yield "proven.example"
    finally:
        file.unlink()
        stack.docker("restart", "rspamd")
        stack.healthy("rspamd")


def test_an_allowed_sender_reaches_the_inbox_and_a_forger_or_whom_somebody_blocks_does_not(
    stack: Stack, reader: Mailbox, pages: Accounts, accounts: Accounts, mailboxes: Mailboxes, proven: str
) -> None:
    edge, sender, other = Edge(stack.info), f"news@{proven}", mailboxes.new()

    def folder(subject: str, to: Mailbox, mail: EmailMessage) -> str:
        """Where a mail is delivered."""
        eventually(lambda: edge.post(mail, to.address, sender=mail["From"].addresses[0].addr_spec).is_success)
        places = ("INBOX", "Junk")
        return eventually(lambda: next((each for each in places if to.find(subject, each)), ""))

    assert folder("before", reader, suspicious("before", reader.address, sender)) == "Junk"
    path = eventually(lambda: listed(pages, "before"), SOON)
    pages.submit(path, f"{path}/allow", whole="", applies_to="person")
    Accounts.of_reader(stack.info, other.address).submit("senders", "senders", sender=proven, kind="block")
    accounts.submit("senders", "senders", sender="*.blocked.example", kind="block", applies_to="")

    def refused() -> httpx.Response | None:
        """A new mail each time: what was accepted once is not judged again."""
        mail = message("refused", to=reader.address, sender="x@a.blocked.example")
        said = edge.post(mail, reader.address)
        return said if said.status_code == 422 else None

    answer = eventually(refused, 30, every=1)
    assert answer.headers["X-Mail-Reason"].endswith("*.blocked.example is blocked")
    mails = (
        ("allowed", reader, "INBOX", suspicious("allowed", reader.address, sender)),
        ("forged", reader, "Junk", suspicious("forged", reader.address, sender)),
        ("blocked", other, "Junk", message("blocked", to=other.address, sender=sender)),
        ("not blocked", reader, "INBOX", message("not blocked", to=reader.address, sender=sender)),
    )
    mails[1][3].replace_header("Received", RECEIVED.replace("203.0.113.7", "203.0.113.8"))
    assert [folder(subject, to, mail) for subject, to, _, mail in mails] == [row[2] for row in mails]
    forged = eventually(lambda: listed(pages, "forged"), SOON)
    assert "nothing proves that the mail is theirs" in pages.http.get(forged).text
