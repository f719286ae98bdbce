"""Forwarding by the relay (`forward_by_relay`) of what the Email Worker cannot, on the running stack."""

from __future__ import annotations

import smtplib
from collections import defaultdict
from itertools import count
from time import monotonic
from types import SimpleNamespace

import dkim
import httpx
import pytest

from tests.forwarded import GOOD, OTHER
from tests.stack.attachments import with_a_password
from tests.stack.breaker import Breaker
from tests.stack.clients import Edge, Mailbox, Mailboxes, Sink, message
from tests.stack.outages import relay_refuses
from tests.stack.stack import Stack, eventually
from tests.stack.test_mail_rules import forward, parsed
from tests.stack.test_outbound import dkim_record
from tests.stack.test_worker_forwards import LOOKS_SECONDS, failed

pytestmark = pytest.mark.parametrize("stack", ["default answers, destroyed"], indirect=True)

#: What a container says to the listener; `{}`: sender and recipients, one after the other.
TALK = """import smtplib, ssl
s = smtplib.SMTP('postfix', 28)
s.starttls(context=ssl._create_unverified_context())
s.ehlo()
for sender, to in {}:
    s.rset()
    s.mail(sender)
    print(s.rcpt(to)[0])"""


class Copies(Sink):
    """What the relay got, by recipient: without a mark of its own in the header it is in Mailpit's Bcc."""

    def of(self, subject: str) -> dict[str, list[bytes]]:
        listed = httpx.get(f"{self.info['sink']}api/v1/messages", params={"limit": 500}, timeout=10).json()
        found = defaultdict(list)
        for each in listed["messages"]:
            if each["Subject"] == subject:
                raw = httpx.get(f"{self.info['sink']}api/v1/message/{each['ID']}/raw", timeout=10).content
                found[str(parsed(raw)["Bcc"])].append(raw)
        return dict(found)


@pytest.fixture(scope="module")
def edge(stack) -> Edge:
    """Calls as the Worker does for what is in its spool: it cannot forward that."""
    return Edge(stack.info)


@pytest.fixture(scope="module")
def sink(stack) -> Copies:
    return Copies(stack.info)


@pytest.fixture(scope="module")
def reader(stack, accounts, edge, sink) -> tuple[Mailbox, str]:
    """Somebody who forwards to one address, and an alias that leads to them and to one more outside."""
    mailboxes = Mailboxes(stack.info, accounts)
    person, alias = mailboxes.new("moved"), mailboxes.address("club")
    forward(stack, person, GOOD)
    accounts.add_alias(alias, f"{person.address}\n{OTHER}")
    eventually(lambda: alias in stack.exec("rspamd", "cat", "/var/lib/rspamd/forwards.json"), limit=60)
    numbers, since, end = count(), monotonic(), monotonic() + 180
    while monotonic() - since < 2 * LOOKS_SECONDS:  # each process of rspamd looks by itself
        mark = f"first {next(numbers)}"
        spooled(edge, person.address, mark)
        try:
            eventually(lambda mark=mark: sink.has(mark), limit=3)
        except AssertionError:
            since = monotonic()
        assert monotonic() < end, "some process of rspamd does not read the list"
    return person, alias


def spooled(edge: Edge, to: str, subject: str, sender: str = "writer@sender.example", **fields: str) -> bytes:
    """A mail comes out of the edge's spool: what is deferred comes again."""
    mail = message(subject, to=to)
    for name, value in fields.items():
        mail[name.replace("_", "-")] = value
    raw = mail.as_bytes().replace(b"\n", b"\r\n")
    eventually(lambda: edge.post(raw, to, sender=sender).status_code == 200, limit=200, every=2)
    return raw


def test_mail_of_our_own_people_is_forwarded_signed_and_in_the_name_of_who_forwards(
    stack: Stack, mailboxes: Mailboxes, sink: Copies, reader: tuple[Mailbox, str]
) -> None:
    person, alias = reader
    writer = mailboxes.new("colleague")
    writer.send(message("from inside", sender=writer.address, to=alias, received=False), alias)
    assert person.read("from inside")
    copies = eventually(lambda: len(found := sink.of("from inside")) == 2 and found)
    assert sorted(copies) == [GOOD, OTHER]
    for (raw,) in copies.values():
        copy = parsed(raw)
        assert copy["Return-Path"] == f"<{alias}>" and copy["X-Mailserver-Forwarded"] == alias
        assert writer.address in copy["From"] and "X-Spam" not in copy
        assert dkim.verify(raw, dnsfunc=lambda name, timeout=5: dkim_record(stack, mailboxes.domain))
    assert "own" not in {reason for _, reason in failed(stack, alias)}


def test_what_is_spam_stays_here(
    stack: Stack, mailboxes: Mailboxes, edge: Edge, sink: Copies, reader: tuple[Mailbox, str]
) -> None:
    person, alias = reader
    writer = mailboxes.new("careless")
    mail = with_a_password("locked inside", alias)
    mail.replace_header("From", writer.address)
    writer.send(mail, alias)
    raw = with_a_password("locked outside", alias).as_bytes().replace(b"\n", b"\r\n")
    assert edge.post(raw, alias).status_code == 200
    for subject in ("locked inside", "locked outside"):
        eventually(lambda subject=subject: person.find(subject) or person.find(subject, "Junk"))
    spooled(edge, person.address, "after the locked")
    assert sink.raw("after the locked")
    assert not sink.has("locked inside") and not sink.has("locked outside")


def test_what_comes_out_of_the_spool_twice_is_forwarded_once_and_never_signed(
    stack: Stack, mailboxes: Mailboxes, edge: Edge, sink: Copies, reader: tuple[Mailbox, str]
) -> None:
    person, alias = reader
    boss = mailboxes.new("boss")
    raw = spooled(edge, alias, "from the spool", Sender=boss.address)
    assert edge.post(raw, alias).json()["duplicate"]
    spooled(edge, person.address, "after the spool")
    assert sink.raw("after the spool") and person.read("from the spool")
    copies = eventually(lambda: len(found := sink.of("from the spool")) == 2 and found)
    assert {to: len(raws) for to, raws in copies.items()} == {GOOD: 1, OTHER: 1}
    for (copy,) in copies.values():
        assert parsed(copy)["Return-Path"] == f"<{alias}>" and b"DKIM-Signature:" not in copy
    assert not failed(stack, alias)


def test_nobody_gets_our_signature_by_a_forged_mail_in_the_spool(
    mailboxes: Mailboxes, edge: Edge, sink: Copies, reader: tuple[Mailbox, str]
) -> None:
    person, _ = reader
    mail = message("forged by a stranger", sender=person.address, to=person.address)
    edge.post(mail, person.address)
    spooled(edge, person.address, "after the forged")
    assert sink.raw("after the forged")
    assert not any(b"DKIM-Signature:" in raw for (raw,) in sink.of("forged by a stranger").values())


def test_a_loop_and_a_report_about_a_copy_are_told_and_not_forwarded(
    stack: Stack, edge: Edge, sink: Copies, reader: tuple[Mailbox, str]
) -> None:
    person, _ = reader
    spooled(edge, person.address, "went round", X_Mailserver_Forwarded=person.address)
    spooled(edge, person.address, "undeliverable", sender="")
    assert person.read("went round") and person.read("undeliverable")
    told = {(GOOD, "loop"): 1, (GOOD, "spool"): 1}
    assert eventually(lambda: failed(stack, person.address) == told)
    assert not sink.has("went round") and not sink.has("undeliverable")


def test_the_listener_takes_nothing_but_forwards_of_ours_from_mailserver_api(
    stack: Stack, mailboxes: Mailboxes, reader: tuple[Mailbox, str]
) -> None:
    person, _ = reader
    refused = [
        (person.address, "stranger@elsewhere.example"),
        (person.address, mailboxes.new().address),
        (f"nobody-{person.address}", GOOD),
        ("writer@sender.example", GOOD),
        ("", GOOD),
    ]
    talk = TALK.format([*refused, (person.address, GOOD)])
    said = stack.exec("mailserver-api", "python", "-c", talk).split()
    assert [code[0] for code in said[:-1]] == ["5"] * len(refused) and said[-1] == "250"
    postfix = stack.inspect("postfix")["NetworkSettings"]["Networks"]
    with smtplib.SMTP(next(iter(postfix.values()))["IPAddress"], 28, timeout=20) as other:
        other.starttls()
        other.ehlo()
        other.mail(person.address)
        assert other.rcpt(GOOD)[0] == 554


def test_a_copy_that_cannot_be_delivered_comes_back_to_who_forwards(
    stack: Stack, breaker: Breaker, mailboxes: Mailboxes, edge: Edge, reader: tuple[Mailbox, str]
) -> None:
    person, _ = reader
    watch = SimpleNamespace(stack=stack, breaker=breaker, mailboxes=mailboxes)
    with relay_refuses("recipients")(watch):
        spooled(edge, person.address, "refused there")
        report = person.read("Undelivered Mail Returned to Sender", limit=60)
    assert GOOD.encode() in report and b"no such person" in report
    assert person.read("refused there")
