"""A local trial of a generated repository of any version: started, filled with people and mail, and compared.

It uses what every version has: `make local`, `mailctl local info`, the API, IMAP and usermgmt's commands.
"""

from __future__ import annotations

import hashlib
import imaplib
import json
import ssl
import subprocess
import threading
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

PORTS = ("WEB", "SINK", "IMAPS", "SUBMISSION", "SUBMISSIONS", "API")
PEOPLE = ("jo", "kim")
PASSWORD = "a local trial of 2026, and no secret"  # noqa: S105 (of a trial on this machine)
SENDER = "somebody@sender.example"
FOLDER = "Kept"
WAIT_SECONDS = 180
# An account's mails: folder and checksum of the mail, with its flags.
Mails = dict[tuple[str, str, str], str]


class Lost(Exception):
    """What was in the trial before and is not any more."""


class Trial:
    """The trial of one repository, whichever version of it is checked out."""

    def __init__(self, repository: Path, environment: Mapping[str, str]) -> None:
        self.repository, self.environment = repository, environment

    def run(self, *words: str, stdin: str | None = None, quiet: bool = False) -> str:
        """Run a command in the repository and return what it prints."""
        done = subprocess.run(
            words,
            cwd=self.repository,
            env=dict(self.environment),
            check=True,
            text=True,
            input=stdin,
            stdout=subprocess.PIPE if quiet or stdin else None,
        )
        return done.stdout or ""

    def mailctl(self, *words: str) -> dict[str, str]:
        """Return what a command of `mailctl local` prints as JSON."""
        return json.loads(self.run(".venv/bin/mailctl", "local", *words, "--json", quiet=True))

    def usermgmt(self, *words: str, stdin: str = "\n") -> str:
        """Run a command of usermgmt in its container."""
        container = f"{self.info['project']}-usermgmt-1"
        return self.run("docker", "exec", "--interactive", container, "usermgmt", *words, stdin=stdin)

    def start(self) -> None:
        """Start what is checked out."""
        self.run("make", "--no-print-directory", "local")
        self.info = self.mailctl("info")
        self.domain = self.info["mailbox"].partition("@")[2]
        self.passwords = {f"{name}@{self.domain}": PASSWORD for name in PEOPLE}
        self.passwords[self.info["mailbox"]] = self.info["mailbox_password"]

    def end(self) -> None:
        """Remove the trial and all that it kept."""
        self.run(".venv/bin/mailctl", "local", "down", "--volumes", "--yes")

    def fill(self, mails: int) -> Mails:
        """Add people, aliases and mail with flags and a folder; return what is there then."""
        aliases = {f"{name}@{self.domain}": f"{name}.alias@{self.domain}" for name in PEOPLE}
        if "ensure" in self.usermgmt("--help"):
            boxes = [{"email": address, "password": PASSWORD} for address in aliases]
            rows = [{"source": alias, "destination": address} for address, alias in aliases.items()]
            self.usermgmt("ensure", stdin=json.dumps({"mailboxes": boxes, "aliases": rows}))
        else:  # version 0.11 and before
            for address, alias in aliases.items():
                self.usermgmt("mailbox", "add", address, "--password-stdin", stdin=f"{PASSWORD}\n")
                self.usermgmt("alias", "add", alias, address)
        for address in self.passwords:
            for number in range(mails):
                self.post(address, f"Mail {number}")
            self.wait(address, mails)
            self.sort(address)
        return self.seen()

    def post(self, address: str, subject: str) -> None:
        """Hand a mail to the API, as the Email Worker does."""
        text = (
            f"From: Sender <{SENDER}>\r\nTo: {address}\r\nSubject: {subject}\r\nMIME-Version: 1.0\r\n"
            f"Message-ID: <{time.time_ns()}@sender.example>\r\nDate: Fri, 27 Nov 2026 12:00:00 +0000\r\n"
            f"Content-Type: text/plain; charset=us-ascii\r\n\r\n{subject} for {address}\r\n"
        )
        token = Path(self.info["api_token_file"]).read_text(encoding="utf-8").split()[-1]
        headers = {
            "Authorization": f"Bearer {token}",
            "Content-Type": "message/rfc822",
            "X-Envelope-From": SENDER,
            "X-Envelope-To": address,
        }
        asked = urllib.request.Request(f"{self.info['api']}/v1/messages", text.encode(), headers)  # noqa: S310
        with urllib.request.urlopen(asked, timeout=60):  # noqa: S310 (of this machine)
            pass

    @contextmanager
    def imap(self, address: str) -> Iterator[imaplib.IMAP4_SSL]:
        """Log in as a person."""
        host, _, port = self.info["imaps"].rpartition(":")
        trust = ssl.create_default_context(cafile=self.info["ca_file"])
        trust.check_hostname = False  # the certificate is for the names of the containers
        with imaplib.IMAP4_SSL(host, int(port), ssl_context=trust, timeout=60) as imap:
            imap.login(address, self.passwords[address])
            yield imap

    def wait(self, address: str, mails: int) -> None:
        """Wait until so many mails are in an inbox."""
        until, pause = time.monotonic() + WAIT_SECONDS, threading.Event()
        while True:
            with self.imap(address) as imap:
                count = int((imap.select("INBOX", readonly=True)[1][0] or b"0").decode())
            if count >= mails:
                return
            if time.monotonic() > until:
                raise Lost(f"{count} of {mails} mails are in the inbox of {address} after {WAIT_SECONDS} s")
            pause.wait(0.5)

    def sort(self, address: str) -> None:
        """Read, flag and file some of the mails, as people do."""
        with self.imap(address) as imap:
            imap.create(FOLDER)
            imap.subscribe(FOLDER)
            imap.select("INBOX")
            imap.store("1", "+FLAGS", r"(\Seen \Flagged)")
            imap.store("2", "+FLAGS", r"(\Seen \Answered $Label1)")
            imap.copy("2", FOLDER)

    def seen(self) -> Mails:
        """Return every mail of everybody, with its flags."""
        found: Mails = {}
        for address in self.passwords:
            with self.imap(address) as imap:
                for folder in ("INBOX", FOLDER):
                    imap.select(folder, readonly=True)
                    for number in imap.search(None, "ALL")[1][0].split():
                        part = imap.fetch(number.decode(), "(FLAGS BODY.PEEK[])")[1][0]
                        flags = {flag.decode() for flag in imaplib.ParseFlags(part[0])} - {r"\Recent"}
                        key = (address, folder, hashlib.sha256(part[1]).hexdigest())
                        found[key] = " ".join(sorted(flags))
        return found

    def compare(self, before: Mails) -> None:
        """Tell whether everything is still there, and new mail arrives, through the aliases too.

        Raises:
            Lost: what is not there any more.
        """
        after = self.seen()
        if lost := [f"{key}: {flags}" for key, flags in before.items() if after.get(key) != flags]:
            raise Lost(f"{len(lost)} of {len(before)} mails are lost or have other flags: {lost[0]}")
        for name in PEOPLE:
            address = f"{name}@{self.domain}"
            there = sum(key[:2] == (address, "INBOX") for key in after)
            self.post(f"{name}.alias@{self.domain}", "After the upgrade")
            self.wait(address, there + 1)
        print(f"{len(before)} mails of {len(self.passwords)} people are there, with their flags", flush=True)
