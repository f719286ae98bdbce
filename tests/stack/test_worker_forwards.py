"""Forwarding outside on the running stack: chosen on the pages, named by rspamd, done by the Worker.

FORWARD_MAILS says how many mails there are (`make soak`: 500); the API is killed while they come in.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from time import monotonic

import pytest

from tests.forwarded import BAD, GOOD, OTHER, REFUSAL, Outside, servers
from tests.stack import mails
from tests.stack.clients import Mailbox, Mailboxes, message
from tests.stack.stack import Stack, eventually
from tests.stack.test_mail_rules import forward
from tests.stack.worker import Worker

pytestmark = pytest.mark.parametrize("stack", ["default answers"], indirect=True)

MAILS = int(os.environ.get("FORWARD_MAILS", "40"))
KILLS = 2
#: How often a process of rspamd looks for a new list (config/rspamd/lua.local.d/usermgmt.lua).
LOOKS_SECONDS = 5
KINDS = ("alias", "person", "alias", "junk", "loop")
ASK = """import urllib.request as u
token = open('/run/secrets/mailserver_api_tokens').read().split()[0]
call = u.Request('http://127.0.0.1:8000/v1/forwards', headers={'Authorization': 'Bearer ' + token})
print(u.urlopen(call, timeout=8).read().decode())"""


@pytest.fixture(scope="module")
def outside() -> Iterator[Outside]:
    with servers() as running:
        yield running


@pytest.fixture(scope="module")
def reader(stack, accounts, worker, outside) -> tuple[Mailbox, str]:
    """Somebody who forwards to one address, and an alias that leads to them and to two more outside."""
    mailboxes = Mailboxes(stack.info, accounts)
    reader, alias = mailboxes.new("moved"), mailboxes.address("club")
    forward(stack, reader, GOOD)
    accounts.add_alias(alias, f"{reader.address}\n{OTHER}\n{BAD}")
    eventually(lambda: alias in stack.exec("rspamd", "cat", "/var/lib/rspamd/forwards.json"), limit=60)
    read_by_all(worker, outside, reader.address)
    return reader, alias


def read_by_all(worker: Worker, outside: Outside, to: str) -> None:
    """Wait until every process of rspamd has read the list: each looks by itself, and any gets a mail."""
    numbers, since, end = count(), monotonic(), monotonic() + 180
    while monotonic() - since < 2 * LOOKS_SECONDS:
        mark = f"first {next(numbers)}"
        words = {"mark": mark, "FORWARD_URL": outside.url}
        assert str(worker.deliver(mail("first", mark, to), to, **words)) == "accepted"
        if (mark, GOOD) not in outside.came:
            since = monotonic()
        assert monotonic() < end, "some process of rspamd does not read the list"


def failed(stack: Stack, recipient: str) -> dict[tuple[str, str], int]:
    """How much of the mail to an address was not forwarded, by destination and reason."""
    found = json.loads(stack.exec("mailserver-api", "python", "-c", ASK))["failed"]
    mine = [each for each in found if each["recipient"] == recipient]
    return {(each["destination"], each["reason"]): each["count"] for each in mine}


def mail(kind: str, mark: str, to: str) -> bytes:
    fields = {"loop": (f"X-Mailserver-Forwarded: {to}",), "junk": ("From: Somebody Else <b@other.example>",)}
    return mails.head(to, mark, *fields.get(kind, ())) + b"\r\n" + mails.PROSE


def test_each_mail_goes_where_it_must_and_its_original_is_in_the_mailbox(
    stack: Stack, worker: Worker, outside: Outside, reader: tuple[Mailbox, str]
) -> None:
    person, alias = reader
    marks = [f"{KINDS[number % len(KINDS)]} {number}" for number in range(MAILS)]

    def send(mark: str) -> str:
        kind = mark.partition(" ")[0]
        to = person.address if kind == "person" else alias
        words = {"mark": mark, "FORWARD_URL": outside.url}
        return str(worker.deliver(mail(kind, mark, to), to, limit=200, every=2, **words))

    with ThreadPoolExecutor(4) as pool:
        sent = pool.map(send, marks)
        for kill in range(1, KILLS + 1):
            eventually(lambda kill=kill: len(outside.came) > kill * MAILS // 4, limit=120)
            stack.docker("restart", "mailserver-api")
        assert [*sent] == ["accepted"] * MAILS
    stack.healthy("mailserver-api")
    aliased = {mark for mark in marks if mark.startswith("alias")}
    wanted = {(mark, GOOD) for mark in marks if mark.startswith(("alias", "person"))}
    wanted |= {(mark, OTHER) for mark in aliased}
    came = Counter(way for way in outside.came if way[0] in marks)
    # What a kill left without a report is told as unconfirmed, and four mails are on their way at once.
    assert set(came) <= wanted and len(wanted - set(came)) <= KILLS * 4
    assert sum(came.values()) - len(came) <= KILLS * 4
    told, loops = failed(stack, alias), sum(mark.startswith("loop") for mark in marks)
    assert told[GOOD, "loop"] == told[OTHER, "loop"] == told[BAD, "loop"] == loops
    assert len(aliased) - KILLS * 4 <= told[BAD, REFUSAL] <= len(aliased)
    kept = Counter(subject(raw) for raw in eventually(lambda: all_of(person, marks), limit=120))
    assert kept == Counter(marks)
    assert person.find("junk 3", "Junk") and not person.find("junk 3")


def subject(raw: bytes) -> str:
    return raw.partition(b"Subject: ")[2].partition(b"\n")[0].strip().decode()


def all_of(person: Mailbox, marks: list[str]) -> list[bytes]:
    """What is in the mailbox of these, once all are."""
    found = [raw for raw in person.all() if subject(raw) in marks]
    return found if len(found) >= len(marks) else []


def test_mail_of_our_own_people_is_told_as_not_forwarded(
    stack: Stack, mailboxes, outside: Outside, reader: tuple[Mailbox, str]
) -> None:
    person, alias = reader
    before = len(outside.came)
    writer = mailboxes.new("colleague")
    writer.send(message("from inside", sender=writer.address, to=alias), alias)
    assert person.read("from inside")
    own = {(to, "own"): 1 for to in (GOOD, OTHER, BAD)}
    assert eventually(lambda: {key: n for key, n in failed(stack, alias).items() if key[1] == "own"}) == own
    assert len(outside.came) == before
