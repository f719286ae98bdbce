"""The webmail's tokens at Dovecot and Postfix: which open a mailbox, and what ends them."""

from __future__ import annotations

import hashlib
import hmac
import imaplib
import json
import smtplib
import time
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from joserfc import jwt
from joserfc.jwk import ECKey

from tests.stack.clients import Accounts, Mailbox, Webmail
from tests.stack.managesieve import ManageSieve, Refused, xoauth2
from tests.stack.stack import Stack, eventually

VERIFIER = "v" * 64
# The other mechanism shows the same token.
MECHANISMS = {
    "XOAUTH2": xoauth2,
    "OAUTHBEARER": lambda user, token: f"n,a={user},\x01auth=Bearer {token}\x01\x01",
}


def base64url(what: bytes) -> str:
    return urlsafe_b64encode(what).rstrip(b"=").decode()


def token_of(stack: Stack, webmail: Webmail) -> dict[str, str]:
    """Tokens as the webmail's server gets them, for whoever is logged in."""
    asked = parse_qs(urlsplit(httpx.get(stack.info["webmail"], timeout=30).headers["Location"]).query)
    asked["code_challenge"] = [base64url(hashlib.sha256(VERIFIER.encode()).digest())]
    query = {name: values[0] for name, values in asked.items()}
    answer = webmail.account.get("oidc/authorize", params=query, follow_redirects=False)
    code = parse_qs(urlsplit(answer.headers["Location"]).query)["code"][0]
    form = {"grant_type": "authorization_code", "client_id": "roundcube", "code": code}
    form |= {"redirect_uri": query["redirect_uri"], "code_verifier": VERIFIER}
    secret = "client_secret@/run/secrets/roundcube_oauth_client_secret"  # noqa: S105 (its file)
    words = [word for item in form.items() for word in ("--data-urlencode", "=".join(item))]
    url = "http://usermgmt:8080/oidc/token"
    said = stack.exec("roundcube", "curl", "-sS", "--data-urlencode", secret, *words, url)
    return json.loads(said)


def imap(box: Mailbox, token: str, how: str = "XOAUTH2", user: str = "") -> imaplib.IMAP4_SSL:
    """A session by a token. Raises IMAP4.error."""
    host, port = box.info["imaps"].split(":")
    session = imaplib.IMAP4_SSL(host, int(port), ssl_context=box.tls, timeout=30)
    words = [MECHANISMS[how](user or box.address, token).encode(), b""]
    session.authenticate(how, lambda _: words.pop(0) if words else b"")
    return session


def submission(box: Mailbox, token: str) -> None:
    """Log in to submission by a token. Raises SMTPAuthenticationError."""
    host, port = box.info["submission"].split(":")
    with smtplib.SMTP(host, int(port), timeout=60) as smtp:
        smtp.starttls(context=box.tls)
        smtp.ehlo()
        smtp.user, smtp.password = box.address, token
        words = [xoauth2(box.address, token), ""]
        smtp.auth("XOAUTH2", lambda _=None: words.pop(0) if words else "")


def opened(stack: Stack, box: Mailbox, token: str) -> set[str]:
    """What a token opens."""
    found = set()
    ways = {
        "imap": imap,
        "submission": submission,
        "sieve": lambda box, token: ManageSieve(stack, box, token),
    }
    for name, way in ways.items():
        try:
            way(box, token)
            found.add(name)
        except (imaplib.IMAP4.error, smtplib.SMTPAuthenticationError, Refused):
            pass
    return found


def test_a_token_opens_its_owners_mail_until_the_session_ends(stack, mailboxes):
    reader, other, webmail = mailboxes.new(), mailboxes.new(), Webmail(stack.info)
    webmail.log_in(reader.address, reader.password)
    token = token_of(stack, webmail)["access_token"]
    assert opened(stack, reader, token) == {"imap", "submission", "sieve"}
    assert opened(stack, other, token) == set()

    still_open = imap(reader, token, "OAUTHBEARER")
    Accounts.of_reader(stack.info, reader.address).submit("account", "account/sessions/end-others")

    def ended() -> bool:
        try:
            still_open.noop()
        except (imaplib.IMAP4.abort, OSError):
            return True
        return False

    eventually(ended, limit=2)
    assert opened(stack, reader, token) == set()


@dataclass
class Forger:
    """Somebody who has a key that the database knows, and makes tokens of all kinds with it."""

    key: ECKey
    kid: str
    usual: dict[str, object]

    def token(self, key: ECKey | None = None, **changed: object) -> str:
        """A token; claims that are None are left out."""
        header = {"alg": "ES256", "kid": changed.pop("kid", self.kid), "typ": "at+jwt"}
        claims = {name: value for name, value in {**self.usual, **changed}.items() if value is not None}
        return jwt.encode(header, claims, key or self.key)

    def by_hand(self, algorithm: str) -> str:
        """A token of an algorithm that no library would use with such a key."""
        head = base64url(json.dumps({"alg": algorithm, "kid": self.kid}).encode())
        text = f"{head}.{self.token().split('.')[1]}"
        public = self.key.as_pem(private=False)
        signature = b"" if algorithm == "none" else hmac.new(public, text.encode(), hashlib.sha256).digest()
        return f"{text}.{base64url(signature)}"


@pytest.fixture
def forger(stack: Stack, mailboxes) -> Iterator[Forger]:
    """A key of our own among the real ones."""
    reader, webmail = mailboxes.new(), Webmail(stack.info)
    webmail.log_in(reader.address, reader.password)
    real = token_of(stack, webmail)["access_token"].split(".")[1]
    claims = json.loads(urlsafe_b64decode(real + "=" * (-len(real) % 4)))
    key = ECKey.generate_key("P-256")
    kid = key.thumbprint()
    stack.sql(
        "INSERT INTO oidc_keys VALUES (@kid, @pem, '', UTC_TIMESTAMP(6))",
        kid=kid,
        pem=key.as_pem(private=False).decode(),
    )
    yield Forger(key, kid, claims)
    stack.sql("DELETE FROM oidc_keys WHERE kid = @kid", kid=kid)


def test_dovecot_takes_no_token_with_anything_wrong_in_it(stack, forger):
    reader = Mailbox(str(forger.usual["email"]), stack.info)
    stranger, past = ECKey.generate_key("P-256"), int(time.time()) - 2
    tokens = {
        "another audience": forger.token(aud="roundcube"),
        "another issuer": forger.token(iss="https://account.example.net"),
        "another client": forger.token(azp="somebody"),
        "no client": forger.token(azp=None),
        "another scope": forger.token(scope="openid"),
        "no scope": forger.token(scope=None),
        "expired": forger.token(exp=past),
        "no session": forger.token(sid=None),
        "a session that is not": forger.token(sid="2147483647"),
        "another person": forger.token(email=stack.info["mailbox"]),
        "an unknown key": forger.token(kid="unknown"),
        "another key": forger.token(key=stranger),
        "no algorithm": forger.by_hand("none"),
        "the public key as a password": forger.by_hand("HS256"),
    }
    assert opened(stack, reader, forger.token()) >= {"imap"}, "the forger's key is not even known"

    def is_refused(token: str) -> bool:
        try:
            imap(reader, token)
        except imaplib.IMAP4.error:
            return True
        return False

    with ThreadPoolExecutor(len(tokens)) as pool:
        refused = dict(zip(tokens, pool.map(is_refused, tokens.values()), strict=True))
    assert [name for name, is_so in refused.items() if not is_so] == []
