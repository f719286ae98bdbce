"""Moves one mail over IMAP as its owner would, so that Dovecot has rspamd learn from it as it always does."""

from __future__ import annotations

import imaplib
import ssl
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from usermgmt.mail.doveadm import ANSWER_SECONDS, Unreachable

PORT = 31143
FOLDERS = {"inbox": "INBOX", "junk": "Junk"}
#: Between the verdict and the delivery; a mail may wait in the queue for days.
EARLIEST = timedelta(days=1)


@dataclass(frozen=True)
class Wanted:
    """The mails to move: a header that only they have, and when they were received."""

    header: str
    text: str
    received: datetime


@dataclass(frozen=True)
class Imap:
    """One person's mailbox, and a password that opens it."""

    host: str
    trusted: ssl.SSLContext = field(repr=False)
    address: str
    password: str = field(repr=False)

    def move(self, wanted: Wanted, target: str) -> bool:
        """Move into the inbox what is in Junk, or the other way; whether it was there. Raises Unreachable."""
        source = "inbox" if target == "junk" else "junk"
        try:
            with imaplib.IMAP4(self.host, PORT, timeout=2 * ANSWER_SECONDS) as session:
                session.starttls(self.trusted)
                session.login(self.address, self.password)
                return self._move(session, wanted, FOLDERS[source], FOLDERS[target])
        except (OSError, imaplib.IMAP4.error) as error:
            raise Unreachable(f"dovecot cannot be asked: {error}") from error

    def _move(self, session: imaplib.IMAP4, wanted: Wanted, source: str, target: str) -> bool:
        session.select(source)
        since = (wanted.received - EARLIEST).strftime("%d-%b-%Y")
        # As a literal, so that no character of the text is taken for a part of the command.
        session.literal = wanted.text.encode()  # type: ignore[assignment]
        words = ("SEARCH", "CHARSET", "UTF-8", "SINCE", since, "HEADER", wanted.header)
        _, found = session.uid(*words)
        numbers = b",".join((found[0] or b"").split()).decode()
        if not numbers:
            return False
        kind, answer = session.uid("MOVE", numbers, target)
        if kind != "OK":
            raise Unreachable(f"dovecot does not move the mail: {answer!r}")
        return True
