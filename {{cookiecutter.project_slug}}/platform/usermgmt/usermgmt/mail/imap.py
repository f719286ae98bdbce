"""Moves one mail over IMAP as its owner would, so that Dovecot has rspamd learn from it as it always does."""

from __future__ import annotations

import imaplib
import ssl
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from usermgmt.mail.doveadm import ANSWER_SECONDS, Unreachable

PORT = 31143
FOLDERS = {"inbox": "INBOX", "junk": "Junk"}
#: Between the verdict and the delivery; a mail may wait in the queue for days.
EARLIEST = timedelta(days=1)
#: Mails whose header is asked for at once.
BATCH = 1000


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
        numbers = ",".join(self._found(session, wanted))
        if not numbers:
            return False
        kind, answer = session.uid("MOVE", numbers, target)
        if kind != "OK":
            raise Unreachable(f"dovecot does not move the mail: {answer!r}")
        return True

    @staticmethod
    def _found(session: imaplib.IMAP4, wanted: Wanted) -> Iterator[str]:
        """The UIDs of the mails whose header has the text, read from the mails.

        The search index is for people: it leaves out words that look like encoded data.
        """
        since = (wanted.received - EARLIEST).strftime("%d-%b-%Y")
        recent = (session.uid("SEARCH", "SINCE", since)[1][0] or b"").decode().split()
        for start in range(0, len(recent), BATCH):
            some = ",".join(recent[start : start + BATCH])
            what = f"(BODY.PEEK[HEADER.FIELDS ({wanted.header})])"
            for part in session.uid("FETCH", some, what)[1]:
                # The value may have been folded on its way.
                if isinstance(part, tuple) and wanted.text.encode() in b" ".join(part[1].split()):
                    yield part[0].decode().partition("UID ")[2].split()[0]
