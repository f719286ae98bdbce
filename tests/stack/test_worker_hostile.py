"""What nobody sends by mistake: each has its verdict, and never becomes two mails, or another one's.

The table is the documentation; the Worker's README has it in short.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from uuid import uuid4

import pytest

from tests.stack import mails
from tests.stack.clients import Mailbox
from tests.stack.scenes import Scene
from tests.stack.test_worker import differs

pytestmark = pytest.mark.parametrize("stack", ["default answers"], indirect=True)

NOBODY = "rejected: There is no such mailbox"
REFUSED = "rejected: Your message was refused"
MULTIPART = "Content-Type: multipart/mixed; boundary=b"
# What a server that ends the message at a stray line break would take for a second mail.
SMUGGLED = b"MAIL FROM:<evil@sender.example>{e}RCPT TO:<{to}>{e}DATA{e}Subject: smuggled{e}{e}Hello.{e}.{e}"


@dataclass(frozen=True)
class Row:
    """What is in the mail or its envelope, what the Worker does, how many mails arrive, and what changed."""

    does: str
    arrive: int
    fields: tuple[str, ...] = ()
    body: bytes = b"Hello.\r\n"
    top: bytes = b""
    sender: str = "writer@sender.example"
    to: str = "{reader}"
    becomes: tuple[bytes, bytes] = (b"", b"")


def smuggled(ending: bytes) -> bytes:
    """A body with a second conversation in it, behind an end of message that only careless servers see."""
    return b"One mail." + ending + SMUGGLED.replace(b"{e}", b"\r\n") + b"Still the same mail.\r\n"


TABLE = {
    # ---- MIME that is none
    "multipart without a boundary": Row("accepted", 1, ("Content-Type: multipart/mixed",)),
    "multipart that never begins": Row("accepted", 1, (MULTIPART,)),
    "multipart that never ends": Row("accepted", 1, (MULTIPART,), b"--b\r\n\r\none\r\n--b\r\n"),
    "1,000 multiparts in each other": Row(
        REFUSED, 0, (MULTIPART,), (b"--b\r\n" + MULTIPART.encode() + b"\r\n\r\n") * 1_000
    ),
    "base64 that is none": Row("accepted", 1, ("Content-Transfer-Encoding: base64",), b"=%&!$ \xff\r\n"),
    "an unknown encoding and charset": Row(
        "accepted", 1, ("Content-Transfer-Encoding: x-rot13", "Content-Type: text/plain; charset=klingon")
    ),
    "a header line without a colon": Row(
        # The header ends there, as RFC 5322 has it: the line is the first of the body.
        "accepted",
        1,
        ("this is no header field",),
        becomes=(b"this is no", b"\r\nthis is no"),
    ),
    "two From, no To": Row(
        # The filter finds it suspicious: it goes to Junk.
        "accepted",
        1,
        ("From: second@sender.example",),
        becomes=(b"\r\n\r\n", b"\r\nX-Spam: Yes\r\n\r\n"),
    ),
    "no body and no blank line": Row("accepted", 1, body=b""),
    # ---- Line breaks and bytes
    "bare LF": Row("accepted", 1, body=b"one\ntwo\n", becomes=(b"one\ntwo\n", b"one\r\ntwo\r\n")),
    "bare CR": Row("accepted", 1, body=b"one\rtwo\r\n", becomes=(b"one\rtwo", b"one two")),
    # IMAP cannot carry it (RFC 3501): Dovecot shows another byte.
    "NUL in the body": Row("accepted", 1, body=b"one\0two\r\n", becomes=(b"\0", b"\x80")),
    "NUL in a header field": Row("accepted", 1, ("X-Nul: one\0two",), becomes=(b"\0two", b"")),
    "8-bit bytes in a header field": Row("accepted", 1, ("X-Raw: gr\u00fc\u00dfe \u65e5\u672c",)),
    "a second mail behind LF.LF": Row(
        "accepted", 1, body=smuggled(b"\n.\n"), becomes=(b"l.\n.\n", b"l.\r\n.\r\n")
    ),
    "a second mail behind LF.CRLF": Row(
        "accepted", 1, body=smuggled(b"\n.\r\n"), becomes=(b"l.\n.", b"l.\r\n.")
    ),
    "a second mail behind CR.CR": Row("accepted", 1, body=smuggled(b"\r.\r"), becomes=(b"\r.\rM", b" . M")),
    "a second mail behind CRLF.CRLF": Row("accepted", 1, body=smuggled(b"\r\n.\r\n")),
    # ---- Quantity
    "10,000 header fields": Row("accepted", 1, tuple(f"X-Field-{n}: {n}" for n in range(10_000))),
    "a header field of 58 kB": Row("accepted", 1, ("X-Long: " + "x" * 58_000,)),
    # Postfix would cut it at 60,000 bytes, so the filter refuses it (header_length.lua).
    "a header field of 100 kB": Row(REFUSED, 0, ("X-Long: " + "x" * 100_000,)),
    # ---- Marks that are ours to set
    "a forged mark of the filter": Row("accepted", 1, ("X-Spam: No",), becomes=(b"X-Spam: No\r\n", b"")),
    "a forged mark of the API": Row("accepted", 1, top=b"X-Mailserver-Delivery: " + b"0" * 64 + b"\r\n"),
    # ---- Envelope
    "a line break in the sender": Row("thrown", 0, sender="a@b.example\r\nX-Envelope-To: {reader}"),
    "a line break in the recipient": Row("thrown", 0, to="{reader}\r\nX-Envelope-From: a@b.example"),
    "two recipients in one": Row("thrown|rejected", 0, to="{reader},{reader}"),
    "a recipient that is no address": Row("thrown|rejected", 0, to="postmaster"),
    "a recipient with a NUL": Row("thrown", 0, to="{name}\0@{domain}"),
    "SQL: any text": Row(NOBODY, 0, to="%@{domain}"),
    "SQL: any character": Row(NOBODY, 0, to="{underscores}@{domain}"),
    "SQL: a quote that closes": Row(NOBODY, 0, to="{name}'--@{domain}"),
    "SQL: a backslash": Row(NOBODY, 0, to='"{name}\\\\"@{domain}'),
    "SQL: a condition": Row("rejected", 0, to="x'/**/OR/**/'1'='1@{domain}"),
    "shell and map characters": Row(NOBODY, 0, to="|$(id)*{{}}@{domain}"),
    "no sender": Row("accepted", 1, sender=""),
    "a sender without a domain": Row("accepted", 1, sender="root"),
    "a sender with blanks": Row("accepted", 1, sender='"john smith"@sender.example'),
    "a sender with a dot at the end": Row("accepted", 1, sender="a@sender.example."),
}


@pytest.mark.parametrize("row", TABLE.values(), ids=TABLE)
def test_hostile_input_has_its_verdict(hostile, row):
    reader, before = hostile.reader, hostile.reader.all()
    name, _, domain = reader.address.partition("@")
    words = {"reader": reader.address, "name": name, "domain": domain, "underscores": "_" * len(name)}
    blank = b"" if row.body == b"" else b"\r\n"
    subject = f"hostile {uuid4()}"
    raw = row.top + mails.head(reader.address, subject, *row.fields) + blank
    raw += row.body.replace(b"{to}", reader.address.encode())
    outcome = hostile.worker.deliver(
        raw, row.to.format(**words), sender=row.sender.format(**words), limit=20 if row.arrive else 0
    )
    assert re.match(row.does, str(outcome)), outcome
    hostile.settle()
    new = [mail for mail in reader.all() if mail not in before]
    assert len(new) == row.arrive, [mail[:2000] for mail in new]
    expected = raw.replace(*row.becomes, 1) if any(row.becomes) else raw
    if row.arrive:
        assert new[0].endswith(expected), differs(expected, new[0])


@pytest.fixture(scope="module")
def hostile_reader(stack, accounts) -> Mailbox:
    """One mailbox for all rows, whose name has no character that a row uses."""
    reader = Mailbox(f"target{uuid4().hex[:8]}@{stack.info['mailbox'].partition('@')[2]}", stack.info)
    accounts.add_mailbox(reader.address)
    return reader


@pytest.fixture
def hostile(stack, worker, breaker, accounts, mailboxes, hostile_reader):
    """The scene of these tests."""
    return Scene(stack, worker, breaker, accounts, mailboxes, hostile_reader)
