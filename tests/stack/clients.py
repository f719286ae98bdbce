"""What talks to the stack: a browser's forms, the edge's HTTP call, a mail program, the sink's API."""

from __future__ import annotations

import imaplib
import re
import smtplib
import ssl
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.message import EmailMessage
from email.utils import format_datetime
from functools import cached_property
from pathlib import Path
from uuid import uuid4

import httpx
from playwright.sync_api import Page

from tests.stack.stack import eventually

PASSWORD = "correct horse battery staple"  # noqa: S105 (of the mailboxes that the tests make)
# As Cloudflare writes it: the address in it is the one that SPF and the like must judge.
RECEIVED = (
    "from mail.sender.example (mail.sender.example [203.0.113.7]) by cloudflare-email.net (cloudflare)"
    " with ESMTPS id t3st; Tue, 24 Nov 2026 12:00:00 +0000"
)
PROSE = (
    "Dear all, on Thursday we walk from the old harbour to the lighthouse and back. Bring water, a hat,\n"
    "and some bread for the ducks. The ferry leaves at nine, so please be there before. If it rains we meet\n"
    "in the museum instead, where the new exhibition about maps, compasses and ships has just been opened.\n"
)


def message(
    subject: str,
    *,
    sender: str = "writer@sender.example",
    to: str = "",
    text: str = PROSE,
    received: bool = True,
) -> EmailMessage:
    """A plain mail as the world sends it; its Message-ID is new each time."""
    mail = EmailMessage()
    if received:
        mail["Received"] = RECEIVED
    mail["From"], mail["To"], mail["Subject"] = f"A Writer <{sender}>", to, subject
    mail["Date"] = format_datetime(datetime.now(UTC))
    mail["Message-ID"] = f"<{uuid4()}@{sender.partition('@')[2]}>"
    mail.set_content(text)
    return mail


@dataclass
class Edge:
    """The call that the Email Worker makes for each incoming mail."""

    info: dict[str, str]

    @cached_property
    def token(self) -> str:
        return Path(self.info["api_token_file"]).read_text().split()[0]

    def post(
        self,
        raw: bytes | EmailMessage,
        to: str,
        *,
        sender: str = "writer@sender.example",
        token: str | None = None,
    ) -> httpx.Response:
        body = (
            raw if isinstance(raw, bytes) else raw.as_bytes().replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
        )
        headers = {
            "Authorization": f"Bearer {self.token if token is None else token}",
            "X-Envelope-From": sender,
            "X-Envelope-To": to,
            "Content-Type": "message/rfc822",
        }
        return httpx.post(f"{self.info['api']}/v1/messages", content=body, headers=headers, timeout=60)


def log_in_to_webmail(page: Page, webmail: str, address: str, password: str) -> None:
    """Fill in the log-in page of accounts, to which the webmail sends."""
    page.goto(webmail)
    page.get_by_label("Address").fill(address)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Log in", exact=True).click()


class Webmail:
    """Somebody's webmail and account pages in one browser, without the browser."""

    def __init__(self, info: dict[str, str], client: str = "203.0.113.50") -> None:
        headers = {"CF-Connecting-IP": client}
        self.http = httpx.Client(base_url=info["webmail"], headers=headers, timeout=30)
        self.account = visitor(info["account_page"], headers)

    def log_in(self, address: str, password: str) -> httpx.Response:
        """From the webmail through the log-in and back; the answer of the last of them."""
        self.account.get(self.path(self.http.get("")))
        token = re.search(r'name="csrf_token" value="([^"]+)"', self.account.get("login").text)
        assert token, "no form to log in"
        form = {"csrf_token": token[1], "email": address, "password": password}
        answer = self.account.post("login", data=form, follow_redirects=False)
        return self.come_back(answer) if answer.status_code == 303 else answer

    def come_back(self, answer: httpx.Response) -> httpx.Response:
        """Go on to the webmail from where a log-in leads."""
        leads = self.account.get(self.path(answer), follow_redirects=False)
        return self.http.get(leads.headers["Location"])

    @staticmethod
    def path(answer: httpx.Response) -> str:
        """Where an answer leads, on whatever site that is."""
        return httpx.URL(answer.headers["Location"]).raw_path.decode()


def visitor(site: str, headers: dict[str, str] | None = None) -> httpx.Client:
    """Visits a site; as browsers do and not every resolver, names below localhost are this machine to it."""
    url = httpx.URL(site)
    names = {"Host": url.netloc.decode(), **(headers or {})}
    here = url.copy_with(host="127.0.0.1")
    return httpx.Client(base_url=here, headers=names, follow_redirects=True, timeout=30)


class Accounts:
    """usermgmt's pages, as an administrator's browser uses them, or `of_reader` somebody's with a mailbox."""

    def __init__(
        self, info: dict[str, str], headers: dict[str, str] | None = None, site: str = "admin_page"
    ) -> None:
        self.http = visitor(info[site], headers)
        answer = self.submit("login", "login", email=info["admin"], password=info["admin_password"])
        assert "/login" not in str(answer.url), "the log-in failed"

    @classmethod
    def of_reader(cls, info: dict[str, str], address: str, password: str = PASSWORD) -> Accounts:
        """The account pages of a mailbox's owner."""
        return cls({**info, "admin": address, "admin_password": password}, site="account_page")

    def submit(self, page: str, action: str, **fields: str) -> httpx.Response:
        """Open a page for its CSRF token and send the form on it; a refused form fails the test."""
        token = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', self.http.get(page).text)
        assert token, f"no form on the page {page}"
        answer = self.http.post(action, data={"csrf_token": token[1], **fields})
        assert answer.is_success, f"{action}: {answer.status_code}\n{answer.text}"
        return answer

    def add_domain(self, name: str) -> None:
        self.submit("domains", "domains", name=name)

    def add_mailbox(self, address: str, quota: str = "1G") -> None:
        self.submit(
            "mailboxes/new",
            "mailboxes",
            **{
                "email": address,
                "display_name": "",
                "quota": quota,
                "password_kind": "chosen",
                "password": PASSWORD,
            },
        )

    def change_password(self, address: str, password: str) -> None:
        page = self._page(address)
        self.submit(page, f"{page}/password", **{"password_kind": "chosen", "password": password})

    def switch(self, address: str, active: str) -> None:
        page = self._page(address)
        self.submit(page, f"{page}/active", active=active)

    def change_quota(self, address: str, quota: str) -> None:
        page = self._page(address)
        self.submit(page, page, quota=quota, display_name="")

    def _page(self, address: str) -> str:
        listed = self.http.get("mailboxes", params={"q": address}).text
        found = re.search(r'href="[^"]*?(mailboxes/\d+)"[^>]*>' + re.escape(address), listed)
        assert found, f"{address} is not on the page of mailboxes"
        return found[1]

    def add_alias(self, source: str, *destinations: str) -> None:
        text = "\n".join(destinations)
        self.submit("aliases/new", "aliases", source=source, destinations=text, may_send="yes")

    def switch_sending(self, source: str, destination: str, active: str) -> None:
        """Allow or forbid a destination to send as the alias."""
        listed = self.http.get("aliases", params={"q": source}).text
        rows = re.findall(r"→ (\S+)</td>.*?(aliases/\d+)/may-send", listed, re.DOTALL)
        self.submit("aliases/new", f"{dict(rows)[destination]}/may-send", active=active)


@dataclass
class Mailbox:
    """One mailbox, opened over IMAP with TLS checked against the stack's own authority."""

    address: str
    info: dict[str, str]
    password: str = PASSWORD

    @cached_property
    def tls(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=self.info["ca_file"])

    @cached_property
    def imap(self) -> imaplib.IMAP4_SSL:
        host, port = self.info["imaps"].split(":")
        session = imaplib.IMAP4_SSL(host, int(port), ssl_context=self.tls, timeout=30)
        session.login(self.address, self.password)
        return session

    def find(self, subject: str, folder: str = "INBOX") -> list[bytes]:
        """Sequence numbers of the mails with that subject."""
        status, _ = self.imap.select(folder)
        assert status == "OK"
        return self.imap.search(None, "SUBJECT", f'"{subject}"')[1][0].split()

    def read(self, subject: str, folder: str = "INBOX", limit: float = 30) -> bytes:
        """The newest mail with that subject, byte for byte, once it is there."""
        numbers = eventually(lambda: self.find(subject, folder), limit)
        return self.imap.fetch(numbers[-1], "(RFC822)")[1][0][1]

    def all(self) -> list[bytes]:
        """Every mail in INBOX and Junk, byte for byte."""
        found: list[bytes] = []
        for folder in ("INBOX", "Junk"):
            if self.imap.select(folder)[0] == "OK" and (
                numbers := self.imap.search(None, "ALL")[1][0].split()
            ):
                parts = self.imap.fetch(b",".join(numbers), "(BODY.PEEK[])")[1]
                found += [part[1] for part in parts if isinstance(part, tuple)]
        return found

    def move(self, subject: str, source: str, target: str) -> None:
        number = eventually(lambda: self.find(subject, source))[-1]
        assert self.imap.copy(number, target)[0] == "OK"
        self.imap.store(number, "+FLAGS", r"(\Deleted)")
        self.imap.expunge()

    def send(
        self,
        mail: EmailMessage,
        to: str | list[str],
        *,
        login: bool = True,
        sender: str = "",
        implicit: bool = False,
    ) -> None:
        """Submit a mail as a mail program does; raises what smtplib raises when it is refused."""
        host, port = self.info["submissions" if implicit else "submission"].split(":")
        if implicit:
            smtp: smtplib.SMTP = smtplib.SMTP_SSL(host, int(port), context=self.tls, timeout=60)
        else:
            smtp = smtplib.SMTP(host, int(port), timeout=60)
        with smtp:
            if not implicit:
                smtp.starttls(context=self.tls)
            if login:
                smtp.login(self.address, self.password)
            smtp.sendmail(sender or self.address, to, mail.as_bytes())


@dataclass
class Mailboxes:
    """Makes mailboxes with names that no other test uses."""

    info: dict[str, str]
    accounts: Accounts
    made: list[Mailbox] = field(default_factory=list)

    @property
    def domain(self) -> str:
        return self.info["mailbox"].partition("@")[2]

    def address(self, name: str = "user") -> str:
        return f"{name}-{uuid4().hex[:10]}@{self.domain}"

    def new(self, name: str = "user", quota: str = "1G") -> Mailbox:
        mailbox = Mailbox(self.address(name), self.info)
        self.accounts.add_mailbox(mailbox.address, quota)
        self.made.append(mailbox)
        return mailbox


@dataclass
class Sink:
    """The mail sink that stands in the relay's place: its HTTP API (Mailpit's)."""

    info: dict[str, str]

    def raw(self, subject: str) -> bytes:
        """The mail with that subject as the relay received it, once it is there."""

        def look() -> str | None:
            listed = httpx.get(
                f"{self.info['sink']}api/v1/messages", params={"limit": 200}, timeout=10
            ).json()
            return next((m["ID"] for m in listed["messages"] if m["Subject"] == subject), None)

        number = eventually(look)
        return httpx.get(f"{self.info['sink']}api/v1/message/{number}/raw", timeout=10).content

    def has(self, subject: str) -> bool:
        return subject in self.subjects()

    def subjects(self) -> list[str]:
        """Subjects of the mails that reached the relay, the newest first."""
        listed = httpx.get(f"{self.info['sink']}api/v1/messages", params={"limit": 200}, timeout=10).json()
        return [m["Subject"] for m in listed["messages"]]
