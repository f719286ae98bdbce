"""The contacts of people as the webmail shows them: read once from Radicale, then only what changes."""

from __future__ import annotations

import hashlib
import logging
import re
import time
from collections import OrderedDict
from dataclasses import dataclass, field
from itertools import islice
from threading import Lock

from usermgmt.mail.doveadm import Unreachable
from usermgmt.mail.radicale import CONTACTS, Radicale

log = logging.getLogger("usermgmt")

#: Contacts of a person that are shown; more would take the webmail's memory.
MOST = 10_000
#: Contacts in one answer of Radicale, which may each have a picture.
AT_ONCE = 100
#: Characters of a line: longer ones are pictures, sounds and keys, which a list does not show.
LONGEST_LINE = 4_000
#: Characters that a process keeps, of whoever asked last.
MOST_KEPT = 8_000_000
#: For all calls of an answer. Whoever asks again goes on from where this one ended.
SECONDS = 5.0
FOLD, LINE_END = re.compile(r"\r?\n[ \t]"), re.compile(r"\r?\n")

Cards = dict[str, tuple[str, str]]


@dataclass(frozen=True)
class Book:
    """What was read of an address book: the cards by their addresses. Its tag is empty if that is not all."""

    tag: str = ""
    cards: Cards = field(default_factory=dict)

    @property
    def size(self) -> int:
        """In characters."""
        return sum(len(card) for _tag, card in self.cards.values())


class AddressBooks:
    """What this process has read of address books."""

    def __init__(self) -> None:
        self._books: OrderedDict[tuple[str, str], Book] = OrderedDict()
        self._lock = Lock()

    def contacts(self, server: Radicale, person: str) -> tuple[list[dict[str, str]], bool]:
        """A person's contacts (id that stays, vCard), and whether there are more. Raises Unreachable."""
        end = time.monotonic() + SECONDS
        cards: Cards = {}
        for each in server.collections(person):
            if each.kind == CONTACTS and len(cards) <= MOST:
                cards |= self._read(server, person, each.key, end)
        found = [
            {"id": hashlib.sha256(href.encode()).hexdigest()[:20], "card": cards[href][1]} for href in cards
        ]
        return found[:MOST], len(found) > MOST

    def _read(self, server: Radicale, person: str, key: str, end: float) -> Cards:
        with self._lock:
            known = self._books.get((person, key), Book())
        # Asked for first: what changes meanwhile changes the next one.
        tag = server.tag(person, key)
        if tag and tag == known.tag:
            self._keep((person, key), known)
            return known.cards
        tags = dict(islice(server.tags(person, key).items(), MOST + 1))
        cards = {href: known.cards[href] for href in tags if known.cards.get(href, ("",))[0] == tags[href]}
        missing = [href for href in tags if href not in cards]
        while missing:
            hrefs, missing = missing[:AT_ONCE], missing[AT_ONCE:]
            if time.monotonic() > end:
                self._keep((person, key), Book("", cards))
                raise Unreachable(f"radicale takes longer than {SECONDS:.0f} s for an address book")
            cards |= {
                href: (it, shown(card)) for href, (it, card) in server.cards(person, key, hrefs).items()
            }
        self._keep((person, key), Book(tag, cards))
        return cards

    def _keep(self, place: tuple[str, str], book: Book) -> None:
        with self._lock:
            self._books[place] = book
            self._books.move_to_end(place)
            size = sum(each.size for each in self._books.values())
            while size > MOST_KEPT and len(self._books) > 1:
                size -= self._books.popitem(last=False)[1].size


def shown(card: str) -> str:
    """A vCard with each value in one line, and without those that a list does not show."""
    lines = LINE_END.split(FOLD.sub("", card))
    return "\n".join(line for line in lines if len(line) <= LONGEST_LINE)
