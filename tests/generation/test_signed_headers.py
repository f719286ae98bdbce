"""Which header fields rspamd signs with each relay: all of its own list but those that the relay rewrites."""

import base64
import re

import dkim
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.generation.repositories import COMBINATIONS
from tests.relays import TABLE, rewritten
from tools import answers

FILE = "config/rspamd/local.d/dkim_signing.conf"
DOMAIN, SELECTOR = "example.com", "mailctl1"
# rspamd 4.1 without the option (default_sign_headers in src/plugins/dkim_check.c).
DEFAULT = (
    "(o)from:(x)sender:(o)reply-to:(o)subject:(x)date:(x)message-id:(o)to:(o)cc:(x)mime-version:"
    "(x)content-type:(x)content-transfer-encoding:resent-to:resent-cc:resent-from:resent-sender:resent-message-id:"
    "(x)in-reply-to:(x)references:list-id:list-help:list-owner:list-unsubscribe:list-unsubscribe-post:"
    "list-subscribe:list-post:(x)openpgp:(x)autocrypt"
)
# One with each field that a relay may touch.
MAIL = b"".join(
    line + b"\r\n"
    for line in (
        b"Received: by mail.example.com (Postfix)",
        b"From: Ada <ada@example.com>",
        b"To: friend@far.example",
        b"Subject: Lunch",
        b"Sender: ada@example.com",
        b"Date: Sat, 28 Nov 2026 09:00:00 +0900",
        b"Message-ID: <1@example.com>",
        b"In-Reply-To: <0@far.example>",
        b"MIME-Version: 1.0",
        b"Content-Type: text/plain; charset=utf-8",
        b"Content-Transfer-Encoding: 7bit",
        b"Resent-From: ada@example.com",
        b"Autocrypt: addr=ada@example.com; keydata=AAAA",
        b"Bounces-To: bounces@example.com",
        b"X-Priority: 1",
        b"",
        b"At noon, by the harbour.",
    )
)


def plain(field: str) -> str:
    return re.sub(r"^\([ox]\)", "", field)


def signed(root) -> list[str]:
    [fields] = re.findall(r'^sign_headers = "([^"]+)";$', (root / FILE).read_text(encoding="utf-8"), re.M)
    return fields.split(":")


@pytest.fixture(scope="module")
def key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def signature(mail: bytes, fields: list[str], key: rsa.RSAPrivateKey) -> bytes:
    """As rspamd signs: (o) covers a field once more than it is there, (x) does where there is one."""
    there = [name.strip().lower() for name in re.findall(rb"(?m)^([\w-]+):", mail.partition(b"\r\n\r\n")[0])]
    covered: list[bytes] = []
    for field in fields:
        name = plain(field).encode()
        count = there.count(name)
        covered += [name] * (count + (field.startswith("(o)") or (field.startswith("(x)") and count > 0)))
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.TraditionalOpenSSL,
        serialization.NoEncryption(),
    )
    relaxed = (b"relaxed", b"relaxed")
    return dkim.sign(
        mail, SELECTOR.encode(), DOMAIN.encode(), pem, canonicalize=relaxed, include_headers=covered
    )


def verifies(mail: bytes, key: rsa.RSAPrivateKey) -> bool:
    """What dkimpy, another implementation than rspamd's, says of a mail that a receiver has got."""
    public = key.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    record = b"v=DKIM1; k=rsa; p=" + base64.b64encode(public)
    return bool(dkim.verify(mail, dnsfunc=lambda name, timeout=5: record))


@pytest.mark.parametrize("name", COMBINATIONS)
def test_the_signature_covers_rspamds_own_list_without_what_the_relay_rewrites(repositories, name):
    relay = answers.complete(COMBINATIONS[name])["relay"]
    unsigned = TABLE[relay]["unsigned"]["value"]
    assert signed(repositories[name]) == [each for each in DEFAULT.split(":") if plain(each) not in unsigned]


def test_every_relay_is_among_those_looked_at():
    assert {answers.complete(changes)["relay"] for changes in COMBINATIONS.values()} == set(TABLE)


@pytest.mark.parametrize("relay", TABLE)
def test_what_a_relay_rewrites_or_drops_is_not_signed(relay):
    """But for what it adds on top, which no signature of ours can know."""
    facts = TABLE[relay]
    fields = {plain(field) for field in DEFAULT.split(":")}
    touched = {name.lower() for name in facts["rewrites"]["value"]}
    if isinstance(facts["accepts"]["value"], list):
        touched |= fields - {name.lower() for name in facts["accepts"]["value"]}
    assert touched & fields <= set(facts["unsigned"]["value"])


@pytest.mark.parametrize("relay", TABLE)
def test_another_verifier_accepts_the_mail_after_what_the_relay_does_to_it(repositories, relay, key):
    name = "defaults" if relay == "sendgrid" else f"relay={relay}"
    mail = signature(MAIL, signed(repositories[name]), key) + MAIL
    passed_on = rewritten(mail, TABLE[relay], DOMAIN)
    assert passed_on != mail and verifies(passed_on, key)


@pytest.mark.parametrize("relay", [relay for relay, facts in TABLE.items() if facts["rewrites"]["value"]])
def test_rspamds_own_list_would_not_survive_a_relay_that_rewrites(relay, key):
    mail = signature(MAIL, DEFAULT.split(":"), key) + MAIL
    assert verifies(mail, key) and not verifies(rewritten(mail, TABLE[relay], DOMAIN), key)
