"""From Cloudflare's side to the mailbox: the Email Worker in workerd, the API, the filter, Dovecot, IMAP."""

from __future__ import annotations

import base64

import dkim
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.stack import mails
from tests.stack.stack import eventually

pytestmark = pytest.mark.parametrize("stack", ["default answers"], indirect=True)


@pytest.mark.parametrize("mail", mails.EXACT.values(), ids=mails.EXACT)
def test_a_mail_arrives_byte_for_byte(worker, mailboxes, mail):
    reader = mailboxes.new()
    raw = mail(reader.address)
    # The Worker has 22 s whatever the size: on a slow machine 25 MiB may need a second attempt.
    assert str(worker.deliver(raw, reader.address)) == "accepted"
    (arrived,) = eventually(reader.all, limit=90)
    assert arrived.endswith(raw), differs(raw, arrived)


@pytest.mark.parametrize("name", ["long lines", "200 kB of headers", "signed"])
def test_the_signature_of_the_senders_domain_verifies_in_the_mailbox(worker, mailboxes, name):
    reader, (private, public) = mailboxes.new(), new_key()
    raw = mails.EXACT[name](reader.address)
    fields = [b"from", b"to", b"subject", b"date", b"message-id", b"cc", b"content-type"]
    signature = dkim.sign(raw, b"s1", b"sender.example", private, include_headers=fields)
    # On top of the sender's header, below Cloudflare's own: where the signature of a real sender is.
    raw = raw.replace(b"From: ", signature + b"From: ", 1)
    assert str(worker.send(raw, reader.address)) == "accepted"
    (arrived,) = eventually(reader.all, limit=90)
    whole = arrived[arrived.index(b"DKIM-Signature: ") :]
    assert dkim.verify(whole, dnsfunc=lambda name, timeout=5: public)


def new_key() -> tuple[bytes, bytes]:
    """A private key for DKIM, and the record that DNS would have."""
    key = rsa.generate_private_key(65537, 2048)
    form = serialization.PrivateFormat.TraditionalOpenSSL
    private = key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())
    info = serialization.PublicFormat.SubjectPublicKeyInfo
    public = key.public_key().public_bytes(serialization.Encoding.DER, info)
    return private, b"v=DKIM1; k=rsa; p=" + base64.b64encode(public)


def differs(raw: bytes, arrived: bytes) -> str:
    """Where the two part, for the message of a failure: whole mails of 25 MiB help nobody."""
    rest = arrived[max(arrived.find(raw[:60]), 0) :]
    at = next((n for n, (one, other) in enumerate(zip(raw, rest, strict=False)) if one != other), len(rest))
    return f"{len(raw)} bytes became {len(rest)}; at {at} {raw[at:][:60]!r} became {rest[at:][:60]!r}"


def test_the_clients_address_in_cloudflares_header_is_the_one_that_is_judged(worker, mailboxes, stack):
    reader = mailboxes.new()
    raw = mails.plain(reader.address)
    message_id = raw.partition(b"Message-ID: ")[2].partition(b"\r\n")[0].decode()
    assert str(worker.send(raw, reader.address)) == "accepted"
    line = eventually(
        lambda: next((ln for ln in stack.logs("rspamd").splitlines() if message_id in ln), None)
    )
    assert "ip: 203.0.113.7" in line
