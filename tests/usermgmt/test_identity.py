"""Logging in by what Cloudflare Access verified: what is believed, from whom, and who is let in by it."""

from __future__ import annotations

import hmac
import json
import time
from base64 import urlsafe_b64encode
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyotp
import pytest
from click.testing import CliRunner
from flask import Flask
from joserfc import jwt
from joserfc.jwk import RSAKey
from sqlalchemy import select, update
from support import ACCOUNT_SITE, ADMIN_EMAIL, ADMIN_SITE, PASSWORD, Browser, Directory
from test_account import turn_on

from usermgmt import cli, cli_database
from usermgmt.database import Database
from usermgmt.models import AuditEntry, IdentityKeys, LoginAttempt, Mailbox, utc_now
from usermgmt.passwords import Hasher
from usermgmt.services import identity, logins
from usermgmt.services.audit import COMMAND_LINE
from usermgmt.settings import Settings

ANNA = "anna@example.org"
ISSUER, AUDIENCE = "https://acme-mail.cloudflareaccess.com", "a" * 64
KEY, NEXT, FOREIGN = (RSAKey.generate_key(2048, {"kid": kid}) for kid in ("first", "second", "first"))
EDGE = f"""
access:
  team: acme-mail
  applications:
    - {{host: {ADMIN_SITE}, audience: {AUDIENCE}}}
    - {{host: {ACCOUNT_SITE}, audience: {AUDIENCE}}}
"""


@pytest.fixture
def settings(settings: Settings, tmp_path: Path) -> Settings:
    """With an edge whose applications let people log in."""
    file = tmp_path / "edge.yml"
    file.write_text(EDGE)
    return replace(settings, edge_file=file)


def hand_in(database: Database, *keys: RSAKey) -> None:
    """As mailctl does, with the private parts as a provider would never publish them."""
    with database.transaction() as session:
        identity.keep_keys(session, ISSUER, {"keys": [key.as_dict(private=True) for key in keys]})


@pytest.fixture
def provider(app: Flask, web_database: Database, hasher: Hasher) -> Database:
    """Its keys are here, and anna@example.org has a mailbox."""
    Browser(app).get("/login")
    with web_database.transaction() as session:
        made = Directory(session, COMMAND_LINE, hasher)
        made.domain("example.org")
        made.mailbox(ANNA)
    hand_in(web_database, KEY)
    return web_database


def signed(email: str = ANNA, key: Any = KEY, alg: str = "RS256", kid: str = "first", **other: Any) -> str:
    """What Access sends along; None takes a claim away."""
    now = int(time.time())
    usual = {"iss": ISSUER, "aud": [AUDIENCE], "type": "app", "email": email, "iat": now, "exp": now + 60}
    claims = {name: value for name, value in {**usual, **other}.items() if value is not None}
    return jwt.encode({"alg": alg, "kid": kid}, claims, key, algorithms=[alg])


def visit(app: Flask, assertion: str, site: str = ACCOUNT_SITE, **environ: str) -> Browser:
    """A browser that Access let through."""
    browser = Browser(app, site, **environ)
    browser.headers = {"Cf-Access-Jwt-Assertion": assertion, "X-Forwarded-For": "203.0.113.5"}
    return browser


def logs_in(browser: Browser) -> str:
    """Where the button leads; nothing if there is none, and then asking without it leads nowhere either."""
    offered = "/login/access" in browser.get("/login").text
    answer = browser.post("/login/access")
    place = str(answer.headers.get("Location", answer.status_code))
    assert offered or place == "/login"
    return place if offered else ""


def test_a_verified_person_and_a_verified_admin_log_in_each_at_their_site(
    app: Flask, provider: Database
) -> None:
    assert logs_in(visit(app, signed())) == "/account"
    browser = visit(app, signed(ADMIN_EMAIL.upper()), ADMIN_SITE)
    assert logs_in(browser) == "/"
    assert "Cloudflare Access" in browser.get("/account").text, "the list of log-ins says how"


def other_algorithm(alg: str, sign: Callable[[bytes], bytes]) -> str:
    """The usual claims under another algorithm, which the library would not sign."""
    head = base64url(json.dumps({"alg": alg, "kid": "first"}).encode())
    text = f"{head}.{signed().split('.')[1]}"
    return f"{text}.{base64url(sign(text.encode()))}"


def base64url(raw: bytes) -> str:
    """Without padding, as tokens have it."""
    return urlsafe_b64encode(raw).decode().rstrip("=")


REFUSED: dict[str, Callable[[], str]] = {
    "another application": lambda: signed(aud=["b" * 64]),
    "another team": lambda: signed(iss="https://evil.cloudflareaccess.com"),
    "no issuer": lambda: signed(iss=None),
    "no audience": lambda: signed(aud=None),
    "expired": lambda: signed(exp=int(time.time()) - 120),
    "without an end": lambda: signed(exp=None),
    "not valid yet": lambda: signed(nbf=int(time.time()) + 600),
    "a program's token": lambda: signed(email="", common_name="abc.access"),
    "an organisation's token": lambda: signed(type="org"),
    "algorithm none": lambda: other_algorithm("none", lambda text: b""),
    "the public key as a secret": lambda: other_algorithm(
        "HS256", lambda text: hmac.digest(KEY.as_pem(private=False), text, "sha256")
    ),
    "an unknown key": lambda: signed(key=NEXT, kid="second"),
    "another key of that name": lambda: signed(key=FOREIGN),
    "no token": lambda: "abc",
    "an address that is none": lambda: signed("anna"),
}


def test_what_access_did_not_sign_for_this_site_offers_no_log_in(app: Flask, provider: Database) -> None:
    assert {name: logs_in(visit(app, make())) for name, make in REFUSED.items()} == dict.fromkeys(REFUSED, "")
    assert logs_in(visit(app, signed())), "it is those differences that were refused"


def test_an_assertion_that_did_not_come_by_nginx_is_ignored(app: Flask, provider: Database) -> None:
    assert logs_in(visit(app, signed(), REMOTE_ADDR="192.0.2.99")) == ""


def test_nobody_is_created_and_a_closed_account_stays_closed(app: Flask, provider: Database) -> None:
    states = ({"active": False}, {"deleted_at": utc_now()}, {"email": "b@example.org", "deleted_at": None})
    for state in states:
        with provider.transaction() as session:
            session.execute(update(Mailbox).values(state))
        browser = visit(app, signed())
        browser.get("/login")
        answer = browser.post("/login/access")
        assert answer.status_code == 403 and f"No account here belongs to {ANNA}" in answer.text
        assert browser.get("/account").status_code == 302


def creating(settings: Settings) -> None:
    """An edge that lets the first log-in make a mailbox."""
    assert settings.edge_file
    settings.edge_file.write_text(EDGE.replace(AUDIENCE, f"{AUDIENCE}, create_mailboxes: true"))


def test_where_the_edge_says_so_the_first_log_in_makes_a_mailbox(
    app: Flask, provider: Database, settings: Settings
) -> None:
    creating(settings)
    newcomer = visit(app, signed("carol@example.org"))
    assert logs_in(newcomer) == "/account" and "carol@example.org" in newcomer.get("/account").text
    assert logs_in(visit(app, signed("carol@example.org"))) == "/account", "once"
    with provider.transaction() as session:
        assert len(list(session.scalars(select(Mailbox)))) == 2
        entry = session.scalars(select(AuditEntry).order_by(AuditEntry.id.desc())).first()
    assert entry and (entry.actor, entry.action) == (identity.ACTOR, "mailbox.add")


def test_no_mailbox_is_made_where_there_may_be_none(
    app: Flask, provider: Database, settings: Settings, hasher: Hasher, monkeypatch: pytest.MonkeyPatch
) -> None:
    creating(settings)
    with provider.transaction() as session:
        made = Directory(session, COMMAND_LINE, hasher)
        made.alias("info@example.org", ANNA)
        made.domain("closed.example").active = False
        session.execute(update(Mailbox).values(active=False))
    monkeypatch.setattr(identity, "MOST_CREATED", 1)
    others = ("carol@elsewhere.example", "carol@closed.example", "info@example.org", ANNA)
    for address in (*others, "postmaster@elsewhere.example"):
        assert logs_in(visit(app, signed(address))) == "403", address
    assert logs_in(visit(app, signed("dora@example.org"), ADMIN_SITE)) == "403", "never an admin"
    assert logs_in(visit(app, signed("dora@example.org"))) == "/account"
    assert logs_in(visit(app, signed("emi@example.org"))) == "403", "so many today"
    with provider.transaction() as session:
        assert len(list(session.scalars(select(Mailbox)))) == 2


def test_a_second_factor_is_still_asked_for(app: Flask, provider: Database) -> None:
    at_first = Browser(app, ACCOUNT_SITE)
    at_first.log_in(ANNA, PASSWORD)
    totp: pyotp.TOTP = turn_on(at_first)[0]
    browser = visit(app, signed())
    assert logs_in(browser) == "/login/second"
    assert browser.get("/account").status_code == 302
    browser.get("/login/second")
    code = totp.at(int(time.time()) + 30)
    assert browser.post("/login/second", code=code).headers["Location"] == "/account"


def test_strangers_who_guess_do_not_hold_a_verified_person_back(app: Flask, provider: Database) -> None:
    with provider.transaction() as session:
        for number in range(logins.MOST_FOR_ACCOUNT_FROM_CLIENT):
            guess = LoginAttempt(account=ANNA, client_address="203.0.113.5", guess_hash=f"{number}")
            session.add(guess)
    assert logs_in(visit(app, signed())) == "/account"


def test_after_a_rotation_the_new_key_counts_and_the_one_that_is_gone_does_not(
    app: Flask, provider: Database
) -> None:
    hand_in(provider, KEY, NEXT)
    assert logs_in(visit(app, signed(key=NEXT, kid="second"))) == logs_in(visit(app, signed())) == "/account"
    hand_in(provider, NEXT)
    assert logs_in(visit(app, signed())) == ""


def test_keys_that_nobody_renewed_for_a_week_count_no_more(app: Flask, provider: Database) -> None:
    with provider.transaction() as session:
        session.execute(update(IdentityKeys).values(fetched_at=utc_now() - timedelta(days=8)))
    assert logs_in(visit(app, signed())) == ""


def test_it_is_off_unless_the_edge_names_an_audience(
    app: Flask, provider: Database, settings: Settings
) -> None:
    assert settings.edge_file
    settings.edge_file.write_text(EDGE.replace(f", audience: {AUDIENCE}", ""))
    assert logs_in(visit(app, signed())) == ""


def test_the_host_hands_in_public_keys_and_nothing_else(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cli_database, "open_database", lambda: database)

    def run(text: str) -> tuple[int, str]:
        done = CliRunner().invoke(cli.cli, ["identity-keys", ISSUER, "--keys-stdin"], input=text)
        return done.exit_code, done.output

    public = {"keys": [KEY.as_dict(private=True)], "public_cert": {"kid": "first"}}
    assert run(json.dumps(public)) == (0, f"1 keys of {ISSUER}\n")
    with database.transaction() as session:
        row = session.get(IdentityKeys, ISSUER)
        assert row and "d" not in row.keys[0] and row.keys[0]["kid"] == "first"
    for wrong in ("", "[]", "{}", '{"keys": []}', '{"keys": [{"kid": "a", "kty": "oct", "k": "c2VjcmV0"}]}'):
        code, output = run(wrong)
        assert code == 1 and ("no public RSA keys" in output or "no JSON document" in output)
