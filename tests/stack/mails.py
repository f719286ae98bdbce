"""Mails that something on the way might change: each a function of the recipient that gives the raw bytes."""

from __future__ import annotations

import base64
import hashlib
import random
from collections.abc import Callable
from datetime import UTC, datetime
from email.message import EmailMessage
from email.utils import format_datetime
from uuid import uuid4

MIB = 1024 * 1024
LIMIT = 25 * MIB
Mail = Callable[[str], bytes]
PROSE = (
    b"Dear all, on Thursday we walk from the old harbour to the lighthouse and back. Bring water, a hat,\r\n"
    b"and some bread for the ducks. The ferry leaves at nine, so please be there before.\r\n"
)


def head(to: str, subject: str, *fields: str, sender: str = "writer@sender.example") -> bytes:
    """A header as Cloudflare hands it over: its own fields on top, then the sender's. CRLF, no blank line."""
    now = format_datetime(datetime.now(UTC))
    lines = [
        "Received: from mail.sender.example (203.0.113.7)",
        f"        by cloudflare-email.net (cloudflare) id {uuid4().hex[:12]}",
        f"        for <{to}>; {now}",
        "Received-SPF: none (mx.cloudflare.net: no SPF records found for sender.example)",
        f'\treceiver=mx.cloudflare.net; client-ip=203.0.113.7; envelope-from="{sender}";',
        f"From: A Writer <{sender}>",
        f"To: {to}",
        f"Subject: {subject}",
        f"Date: {now}",
        f"Message-ID: <{uuid4()}@sender.example>",
        "MIME-Version: 1.0",
        *fields,
    ]
    return "".join(f"{line}\r\n" for line in lines).encode()


def crlf(mail: bytes) -> bytes:
    """A mail as it was sent: on disk, Dovecot ends lines as Unix does."""
    return mail.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")


def plain(to: str, subject: str = "plain", text: bytes = b"Good morning.\r\n") -> bytes:
    return head(to, subject, "Content-Type: text/plain; charset=utf-8") + b"\r\n" + text


def eight_bit(to: str) -> bytes:
    """Bytes that are no UTF-8, every value above 127, and lines of dots as SMTP would double them."""
    fields = ("Content-Type: text/plain; charset=iso-8859-1", "Content-Transfer-Encoding: 8bit")
    body = "Grüße aus Zürich\r\n.\r\n..\r\n. ein Punkt\r\n".encode("latin-1") + bytes(range(0x80, 0x100))
    return head(to, "eight bit", *fields) + b"\r\n" + body + b"\r\n"


def long_lines(to: str) -> bytes:
    """Lines of 998 bytes, of 5,000 (which RFC 5322 forbids and people send) and of 100,000."""
    body = b"".join(bytes([65 + n]) * length + b"\r\n" for n, length in enumerate((998, 999, 5_000, 100_000)))
    return head(to, "long lines", "Content-Type: text/html; charset=utf-8") + b"\r\n" + body


def trailing(to: str) -> bytes:
    """Spaces and tabs at the ends of lines, and empty lines at the end."""
    return plain(to, "trailing", b"one  \r\n\ttwo \t\r\n\r\n\r\n  \r\nlast\r\n\r\n \r\n")


def signed(to: str) -> bytes:
    """multipart/signed: the signature covers the first part's bytes, so a folded line would break it."""
    part = b'Content-Type: text/plain; charset="utf-8"\r\nContent-Transfer-Encoding: 8bit\r\n\r\n'
    part += b"Unterschrieben: " + "ä".encode() * 800 + b"  \r\n-- \r\nA Writer\r\n"
    seal = base64.encodebytes(hashlib.sha256(part).digest() * 20).replace(b"\n", b"\r\n")
    kind = "application/pkcs7-signature"
    field = f'Content-Type: multipart/signed; protocol="{kind}"; micalg=sha-256; boundary="seal"'
    pieces = [
        head(to, "signed", field),
        b"\r\nThis is a signed message.\r\n--seal\r\n" + part + b"\r\n--seal\r\n",
        f"Content-Type: {kind}; name=smime.p7s\r\nContent-Transfer-Encoding: base64\r\n\r\n".encode(),
        seal + b"\r\n--seal--\r\n",
    ]
    return b"".join(pieces)


def nested(to: str) -> bytes:
    """A forwarded mail in a forwarded mail in a forwarded mail, with attachments at each depth."""
    mail = EmailMessage()
    mail["From"], mail["To"], mail["Subject"] = "Inner <inner@sender.example>", to, "innermost"
    mail.set_content("The innermost text.\n")
    for depth in range(12):
        outer = EmailMessage()
        outer["From"], outer["Subject"] = "Outer <outer@sender.example>", f"depth {depth}"
        outer.set_content(f"See below, depth {depth}.\n")
        outer.add_attachment(
            bytes(range(256)), "application", "octet-stream", filename=f"päckchen {depth}.bin"
        )
        outer.add_attachment(mail)
        mail = outer
    inner = mail.as_bytes().replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
    return head(to, "nested", "Content-Type: message/rfc822") + b"\r\n" + inner


def large_headers(to: str) -> bytes:
    """Headers of 200 kB in all: a field of a thousand addresses (55 kB), and many fields."""
    addresses = ",\r\n ".join(f"Person {n} <person-{n:05}@list.example>" for n in range(1_250))
    fields = (f"X-Trace-{n}: {'x' * 70}" for n in range(1_850))
    return head(to, "large headers", f"Cc: {addresses}", *fields) + b"\r\nBelow them, a body.\r\n"


def of_size(to: str, size: int, subject: str = "large") -> bytes:
    """A mail of exactly `size` bytes: a text, and an attachment of noise in base64, which packs badly."""
    start = head(to, subject, 'Content-Type: multipart/mixed; boundary="b"') + b"\r\n"
    start += (
        b"--b\r\nContent-Type: text/plain\r\n\r\n" + PROSE + b"--b\r\nContent-Type: application/x-noise\r\n"
    )
    start += b"Content-Transfer-Encoding: base64\r\n\r\n"
    noise = random.Random(size).randbytes(57 * 1024)  # noqa: S311 (a seeded filling)
    block = base64.encodebytes(noise).replace(b"\n", b"\r\n")
    end = b"\r\n--b--\r\n"
    return (start + block * (size // len(block) + 1))[: size - len(end)] + end


def largest(to: str) -> bytes:
    """25 MiB: the largest that Email Routing takes."""
    return of_size(to, LIMIT, "largest")


#: What must arrive byte for byte.
EXACT: dict[str, Mail] = {
    "8-bit": eight_bit,
    "long lines": long_lines,
    "trailing spaces": trailing,
    "signed": signed,
    "nested": nested,
    "200 kB of headers": large_headers,
    "25 MiB": largest,
}
