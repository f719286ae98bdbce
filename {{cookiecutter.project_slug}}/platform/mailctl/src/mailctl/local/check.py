"""Mail through a started local stack: posted to the API as the Worker does, read over IMAP."""

import imaplib
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from email.utils import format_datetime, localtime
from pathlib import Path
from uuid import uuid4

from mailctl.core.errors import Problem, Refused
from mailctl.local.info import Info

SENDER = "somebody@sender.example"
# What --fill leaves and --expect finds again, so that nothing else in the mailbox counts.
FILLED = "Kept for the next check"
POST_TIMEOUT_SECONDS, POLL_SECONDS = 60.0, 0.5
# Every scanner knows it; written in two parts, so that no scanner takes this file for it.
EICAR = "X5O!P%@AP[4\\PZX54(P^)7CC)7}$EICAR-" + "STANDARD-ANTIVIRUS-TEST-FILE!$H+H*"
ACCEPTED, INFECTED = 200, 422


@dataclass(frozen=True)
class Step:
    """One thing that was tried, how long it took in seconds, and what came of it."""

    name: str
    seconds: float
    detail: str


class Mailbox:
    """The local mailbox, by the door for mail from outside and the one for mail programs."""

    def __init__(self, info: Info, wait: float) -> None:
        self.info, self.wait = info, wait

    def post(self, subject: str, text: str) -> int:
        """Post a mail and return the API's answer. Raises Refused when it does not answer."""
        import httpx

        info = self.info
        tokens = Path(info.api_token_file).read_text("utf-8").split()
        headers = {
            "Authorization": f"Bearer {tokens[-1]}",
            "Content-Type": "message/rfc822",
            "X-Envelope-From": SENDER,
            "X-Envelope-To": info.mailbox,
        }
        url = f"{info.api}/v1/messages"
        try:
            answer = httpx.post(
                url,
                content=_message(info.mailbox, subject, text).encode(),
                headers=headers,
                timeout=POST_TIMEOUT_SECONDS,
            )
        except httpx.HTTPError as error:
            raise Refused(Problem("API", f"does not answer: {error}", "make status", value=url)) from None
        return answer.status_code

    def found(self, subject: str) -> int:
        """How many mails in the inbox have these words in their subject."""
        with self._imap() as imap:
            _, data = imap.search(None, "SUBJECT", f'"{subject}"')
            return len(data[0].split())

    def until(self, subject: str, count: int) -> None:
        """Wait until so many are there. Raises Refused after the time that was given."""
        began, pause = time.monotonic(), threading.Event()
        while (found := self.found(subject)) < count:
            if time.monotonic() - began > self.wait:
                wrong = f"{found} of {count} mails are in the mailbox after {self.wait:.0f} s"
                raise Refused(Problem("mail", wrong, "docker compose logs postfix dovecot", value=subject))
            pause.wait(POLL_SECONDS)

    def remove(self, subject: str) -> None:
        """Remove the mails with these words in their subject."""
        with self._imap() as imap:
            _, data = imap.search(None, "SUBJECT", f'"{subject}"')
            for number in data[0].split():
                imap.store(number.decode(), "+FLAGS", r"(\Deleted)")
            imap.expunge()

    @contextmanager
    def _imap(self) -> Iterator[imaplib.IMAP4_SSL]:
        host, _, port = self.info.imaps.rpartition(":")
        trust = ssl.create_default_context(cafile=self.info.ca_file)
        trust.check_hostname = False  # the certificate is for the names of the containers
        try:
            imap = imaplib.IMAP4_SSL(host, int(port), ssl_context=trust, timeout=POST_TIMEOUT_SECONDS)
            imap.login(self.info.mailbox, self.info.mailbox_password)
            imap.select("INBOX")
        except (OSError, imaplib.IMAP4.error) as error:
            raise Refused(Problem("IMAP", str(error), "make status", value=self.info.imaps)) from None
        try:
            yield imap
        finally:
            imap.logout()


def _message(to: str, subject: str, text: str) -> str:
    fields = {
        "From": SENDER,
        "To": to,
        "Subject": subject,
        "Date": format_datetime(localtime()),
        "Message-ID": f"<{uuid4().hex}@sender.example>",
        "MIME-Version": "1.0",
        "Content-Type": "text/plain; charset=us-ascii",
    }
    return "".join(f"{name}: {value}\r\n" for name, value in fields.items()) + f"\r\n{text}\r\n"


def _must(answer: int, wanted: int, what: str) -> None:
    if answer != wanted:
        wrong = f"the API answers {answer} instead of {wanted}"
        raise Refused(Problem(what, wrong, "docker compose logs mailserver-api postfix rspamd"))


def checks(mailbox: Mailbox, antivirus: bool, fill: int, expect: int) -> Iterator[Step]:
    """Try one thing after the other. Raises Refused at the first that does not work."""
    began = time.monotonic()

    def step(name: str, detail: str) -> Step:
        nonlocal began
        taken, began = time.monotonic() - began, time.monotonic()
        return Step(name, round(taken, 2), detail)

    if expect:
        mailbox.until(FILLED, expect)
        yield step("kept mail", f"{expect} mails are still there")
    subject = f"Check {uuid4().hex[:12]}"
    _must(mailbox.post(subject, "It may be deleted."), ACCEPTED, "mail")
    mailbox.until(subject, 1)
    mailbox.remove(subject)
    yield step("mail", "posted, delivered, read over IMAP, removed")
    if antivirus:
        _must(mailbox.post(f"{subject} virus", EICAR), INFECTED, "virus")
        yield step("virus", "refused")
    for number in range(fill):
        _must(mailbox.post(f"{FILLED} {number}", "It stays."), ACCEPTED, "mail")
    if fill:
        mailbox.until(FILLED, fill)
        yield step("filled", f"{fill} mails stay in {mailbox.info.mailbox}")
