"""Deliveries and flag changes of one person, and what of it was acknowledged."""

from __future__ import annotations

import contextlib
import imaplib
import re
import smtplib
import threading
import time
from collections import Counter
from dataclasses import dataclass, field

from tests.swarm.shards.rig import Rig

SEEDED = 30


@dataclass
class Load:
    """Somebody receives mail, and marks one mail after another, until it is ended."""

    rig: Rig
    address: str
    delivered: list[str] = field(default_factory=list)
    flagged: list[str] = field(default_factory=list)
    gaps: dict[str, float] = field(default_factory=lambda: {"lmtp": 0.0, "imap": 0.0})
    deferred: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)

    def __enter__(self) -> Load:
        self.ended = threading.Event()
        self.threads = [threading.Thread(target=work) for work in (self._deliver, self._mark)]
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.ended.set()
        for thread in self.threads:
            thread.join()

    def _deliver(self) -> None:
        number, last = 0, time.monotonic()
        while not self.ended.wait(0.05):
            subject = f"load-{number}"
            number += 1
            try:
                self.rig.deliver(self.address, subject)
            except (smtplib.SMTPException, OSError) as error:
                # Postfix keeps it, and tries again after minutes; a permanent refusal would be a bounce.
                self.deferred.append(subject)
                if re.search(r"\(5\d\d,", str(error)):
                    self.refused.append(str(error))
                continue
            self.delivered.append(subject)
            last = self._tick("lmtp", last)

    def try_again(self) -> None:
        """What Postfix does minutes later. It may have been delivered, and the answer lost."""
        if self.deferred:
            self.rig.deliver(self.address, *self.deferred, minutes_ago=5)
            self.delivered += self.deferred

    def _mark(self) -> None:
        session, number, last = None, 1, time.monotonic()
        while not self.ended.wait(0.05) and number <= SEEDED:
            try:
                session = session or self.rig.imap(self.address)
                kind, said = session.uid("STORE", str(number), "+FLAGS", "(\\Flagged)")
                if kind == "OK" and said and said[0]:
                    self.flagged.append(str(number))
                    number, last = number + 1, self._tick("imap", last)
            except (imaplib.IMAP4.error, OSError):
                session = None
        if session:
            with contextlib.suppress(imaplib.IMAP4.error, OSError):
                session.logout()

    def _tick(self, kind: str, last: float) -> float:
        now = time.monotonic()
        self.gaps[kind] = max(self.gaps[kind], now - last)
        return now

    def lost(self) -> list[str]:
        """What was acknowledged and is not there exactly once."""
        session = self.rig.imap(self.address)
        rows = session.uid("FETCH", "1:*", "(BODY.PEEK[HEADER.FIELDS (SUBJECT)])")[1]
        there = Counter(row[1].decode().strip()[9:] for row in rows if isinstance(row, tuple))
        flags = set(session.uid("SEARCH", "FLAGGED")[1][0].decode().split())
        session.logout()
        seeds = [f"seed-{number}" for number in range(SEEDED)]
        wrong = [
            f"{subject}: {there[subject]} times"
            for subject in (*seeds, *self.delivered)
            if there[subject] != 1
        ]
        return wrong + [f"no flag on {uid}" for uid in self.flagged if uid not in flags]
