"""Every secret is rotated while people log in and mail flows: no password is refused, and no mail is lost."""

from __future__ import annotations

import imaplib
import json
import smtplib
import subprocess
import threading
from collections.abc import Callable, Iterator

import httpx
import pytest

from tests.stack.clients import Edge, Mailbox, Mailboxes, Sink, message, visitor
from tests.stack.stack import Stack, eventually

ACCOUNTS = {
    "mariadb_root_password": "root",
    "mariadb_owner_password": "mailserver",
    "usermgmt_db_password": "usermgmt",
    "postfix_db_password": "postfix",
    "dovecot_db_password": "dovecot",
    "roundcube_db_password": "roundcube",
    "backup_db_password": "backup",
}
TOKENS = "mailserver_api_tokens"


class Load(threading.Thread):
    """Logs in over IMAP and for submission, opens both sites, and sends mail, until it is ended."""

    def __init__(self, stack: Stack, mailboxes: Mailboxes) -> None:
        super().__init__(daemon=True)
        self.info, self.edge = stack.info, Edge(stack.info)
        self.reader = mailboxes.new()
        self.ended, self.rounds, self.failed = threading.Event(), 0, list[str]()
        self.accepted: list[str] = []

    def run(self) -> None:
        while not self.ended.is_set():
            for act in (self._imap, self._submission, self._sites, self._mail):
                try:
                    self._as_programs_do(act)
                except (
                    OSError,
                    AssertionError,
                    httpx.HTTPError,
                    imaplib.IMAP4.error,
                    smtplib.SMTPException,
                ) as e:
                    self.failed.append(f"{act.__name__}: {type(e).__name__} {e}"[:300])
            self.rounds += 1

    def _as_programs_do(self, act: Callable[[], None]) -> None:
        """A connection that ends, or "try again later", is tried once more; a refused password is a failure.

        A reload of Dovecot closes the log-ins of that very moment: about 12 ms, whatever is rotated.
        """
        try:
            act()
        except (imaplib.IMAP4.abort, smtplib.SMTPServerDisconnected):
            act()
        except imaplib.IMAP4.error as error:
            # "Try again later" (RFC 5530), or the end of a connection in the place of its greeting.
            if "[UNAVAILABLE]" not in str(error) and "BYE" not in str(error):
                raise
            act()
        except smtplib.SMTPResponseException as error:
            if error.smtp_code >= 500:
                raise
            act()

    def _imap(self) -> None:
        Mailbox(self.reader.address, self.info).imap.logout()

    def _submission(self) -> None:
        subject = f"submitted {self.rounds:04}"
        mail = message(subject, sender=self.reader.address, to=self.reader.address, received=False)
        self.reader.send(mail, self.reader.address)
        self.accepted.append(subject)

    def _sites(self) -> None:
        for page in (self.info["webmail"], self.info["account_page"], self.info["admin_page"]):
            with visitor(page) as somebody:
                # The webmail sends to the log-in, which is on another site.
                answer = somebody.get("", follow_redirects=page != self.info["webmail"])
            to_log_in = "/oidc/authorize?" in answer.headers.get("Location", "")
            assert answer.is_success or to_log_in, f"{page}: {answer.status_code}"

    def _mail(self) -> None:
        """As a sender does: what is temporarily refused is sent again, and that is no failure."""
        subject = f"inbound {self.rounds:04}"
        answer = self.edge.post(message(subject, to=self.reader.address), self.reader.address)
        if answer.status_code == 200:
            self.accepted.append(subject)
        assert answer.status_code in (200, 429, 503), f"{answer.status_code} {answer.text}"


@pytest.fixture
def load(stack: Stack, mailboxes: Mailboxes) -> Iterator[Load]:
    thread = Load(stack, mailboxes)
    thread.start()
    eventually(lambda: thread.rounds >= 1, limit=90)
    yield thread
    thread.ended.set()
    thread.join(120)


def opens(stack: Stack, user: str, password: str) -> bool:
    client = "read -r MYSQL_PWD; export MYSQL_PWD; exec mariadb --no-defaults --protocol=socket --skip-ssl"
    words = ["sh", "-c", f'{client} --socket=/run/mysqld/mysqld.sock --user={user} --execute="SELECT 1"']
    done = subprocess.run(
        ["docker", "exec", "-i", stack.container("mariadb"), *words],
        input=f"{password}\n",
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode == 0


def rotate(stack: Stack, *words: str) -> dict:
    return json.loads(stack.mailctl("secrets", "rotate", *words, "--local", "--json"))


def test_every_secret_is_rotated_under_load(stack, load):
    for name, user in ACCOUNTS.items():
        before = stack.secret(name)
        assert rotate(stack, name)["ok"]
        assert opens(stack, user, stack.secret(name)) and not opens(stack, user, before), name
    old = stack.secret(TOKENS).split()
    assert rotate(stack, TOKENS)["ok"]
    both = stack.secret(TOKENS).split()
    assert both[0] == old[-1] and len(both) == 2
    load.edge.token = both[1]  # what make edge-apply does for the Worker
    assert rotate(stack, TOKENS, "--finish")["ok"]
    assert stack.secret(TOKENS).split() == both[1:]
    rounds = load.rounds
    eventually(lambda: load.rounds > rounds + 1, limit=90)
    load.ended.set()
    load.join(120)
    assert load.failed == []
    assert load.rounds > len(ACCOUNTS)
    for subject in load.accepted:
        load.reader.read(subject, limit=90)


def test_a_rotation_that_its_service_cannot_take_up_is_undone_by_the_next_run(stack):
    name = "roundcube_db_password"
    before = stack.secret(name)
    stack.docker("stop", "roundcube")
    with pytest.raises(AssertionError, match="does not run"):
        rotate(stack, name)
    assert opens(stack, "roundcube", before)
    stack.docker("start", "roundcube")
    stack.healthy("roundcube")
    again = rotate(stack, name)
    assert "the former value is in place" in again["settled"]
    assert opens(stack, "roundcube", stack.secret(name)) and not opens(stack, "roundcube", before)


def test_a_new_relay_key_is_tried_at_the_relay_and_used(stack, mailboxes, tmp_path):
    (tmp_path / "key").write_text("SG.a-new-key-of-the-relay\n")
    assert rotate(stack, "relay_password", "--value", str(tmp_path / "key"))["next"]
    assert stack.exec("postfix", "cat", "/run/postfix/relay_password").endswith("SG.a-new-key-of-the-relay\n")
    writer = mailboxes.new()
    mail = message("with a new key", sender=writer.address, to="friend@far.example", received=False)
    writer.send(mail, "friend@far.example")
    assert Sink(stack.info).raw("with a new key")


def test_a_key_that_the_relay_does_not_take_is_not_used(stack, tmp_path):
    before = stack.secret("relay_password")
    (tmp_path / "key").write_text("SG.a-key-that-nobody-takes\n")
    stack.docker("stop", "mailpit")
    try:
        with pytest.raises(AssertionError, match="the old key is still in use"):
            rotate(stack, "relay_password", "--value", str(tmp_path / "key"))
    finally:
        stack.docker("start", "mailpit")
        stack.healthy("mailpit")
    assert stack.secret("relay_password") == before
    assert stack.exec("postfix", "cat", "/run/postfix/relay_password").strip().endswith(before.strip())
