"""The provider of the webmail's log-in: who gets tokens, and all the ways not to."""

from __future__ import annotations

import hashlib
import json
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from click.testing import CliRunner
from conftest import USUAL
from flask import Flask
from joserfc import jwt
from joserfc.jwk import KeySet
from sqlalchemy import select, update
from support import ACCOUNT_SITE, ADMIN_SITE, PASSWORD, Browser, Directory
from werkzeug.test import TestResponse

from usermgmt import cli, cli_canary, cli_database
from usermgmt.database import Database
from usermgmt.mail.sessions import USERS
from usermgmt.models import Mailbox, OidcGrant, OidcKey, WebSession, utc_now
from usermgmt.passwords import Hasher
from usermgmt.services import oidc, oidc_keys
from usermgmt.services.audit import COMMAND_LINE
from usermgmt.services.mailboxes import set_mailbox_active

ANNA, SECRET, KEY = "anna@example.org", "w" * 32, "k" * 64
CALLBACK = "https://mail.example.org/index.php/login/oauth"
VERIFIER = "v" * 64
CHALLENGE = urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()
ASKED = {
    "response_type": "code",
    "client_id": "roundcube",
    "redirect_uri": CALLBACK,
    "scope": "openid mail",
    "state": "s1",
    "nonce": "n1",
    "code_challenge": CHALLENGE,
    "code_challenge_method": "S256",
}


class Person(Browser):
    """A browser on the account site, and the webmail's server, which takes what the browser brings."""

    def ask(self, **changed: str | None) -> TestResponse:
        """Come from the webmail, with some parameters changed or left out."""
        query = {name: value for name, value in {**ASKED, **changed}.items() if value is not None}
        return self.client.get(
            "/oidc/authorize",
            query_string=query,
            base_url=self.base_url,
            environ_overrides=self.environ,
        )

    def code(self) -> str:
        """A code for whoever is logged in."""
        return parse_qs(urlsplit(self.ask().headers["Location"]).query)["code"][0]

    def server(self, **form: str) -> TestResponse:
        """The webmail's server asks for tokens."""
        form = {"client_id": "roundcube", "client_secret": SECRET, **form}
        return self.client.post("/oidc/token", data=form, base_url="http://usermgmt:8080")

    def exchange(self, code: str, **changed: str) -> TestResponse:
        """A code for tokens."""
        form = {"grant_type": "authorization_code", "redirect_uri": CALLBACK, "code_verifier": VERIFIER}
        return self.server(**{**form, "code": code, **changed})

    def tokens(self) -> dict[str, Any]:
        """All the way."""
        return self.exchange(self.code()).get_json()

    def refresh(self, token: str) -> TestResponse:
        """A refresh token for new ones."""
        return self.server(grant_type="refresh_token", refresh_token=token)


@pytest.fixture
def filled(app: Flask, web_database: Database, hasher: Hasher) -> Database:
    """anna@example.org has a mailbox."""
    Browser(app).get("/login")
    with web_database.transaction() as session:
        made = Directory(session, COMMAND_LINE, hasher)
        made.domain("example.org")
        made.mailbox(ANNA)
    return web_database


@pytest.fixture
def stranger(app: Flask, filled: Database) -> Person:
    """Nobody is logged in."""
    return Person(app, ACCOUNT_SITE)


@pytest.fixture
def anna(stranger: Person) -> Person:
    """Logged in to her account."""
    assert stranger.log_in(ANNA, PASSWORD).status_code == 303
    return stranger


def sessions(database: Database) -> int:
    """How many sessions are left."""
    with database.transaction() as db:
        return len(db.scalars(select(WebSession)).all())


def verified(anna: Browser, token: str) -> dict[str, Any]:
    """What a token says, if our published keys verify it."""
    keys = KeySet.import_key_set(anna.get("/oidc/keys").get_json())
    return jwt.decode(token, keys, ["ES256"]).claims


def test_a_log_in_that_began_at_the_webmail_ends_there(stranger: Person) -> None:
    assert stranger.ask().headers["Location"] == "/login"
    page = stranger.get("/login")
    assert "form-action 'self' https://mail.example.org;" in page.headers["Content-Security-Policy"]
    onward = stranger.post("/login", email=ANNA, password=PASSWORD).headers["Location"]
    answer = stranger.get(onward).headers["Location"]
    assert answer.startswith(f"{CALLBACK}?code=") and answer.endswith("&state=s1")


def test_whoever_is_logged_in_already_types_nothing_again(anna: Person) -> None:
    assert anna.ask().headers["Location"].startswith(f"{CALLBACK}?code=")


def test_a_log_in_that_began_elsewhere_leads_to_the_account(stranger: Person) -> None:
    stranger.ask()
    stranger.get("/account")
    assert stranger.log_in(ANNA, PASSWORD).headers["Location"] == "/account"
    assert "mail.example.org;" not in stranger.get("/account").headers["Content-Security-Policy"]


def test_the_tokens_say_whose_they_are_and_for_whom(anna: Person) -> None:
    tokens = anna.tokens()
    access, identity = verified(anna, tokens["access_token"]), verified(anna, tokens["id_token"])
    common = {"iss": "https://account.example.org", "azp": "roundcube", "email": ANNA}
    assert access | common | {"aud": "mail", "scope": "mail"} == access
    assert identity | common | {"aud": "roundcube", "nonce": "n1"} == identity
    assert access["exp"] - access["iat"] == tokens["expires_in"] == 600


def test_the_longest_address_fits_the_line_that_postfix_takes(app: Flask, filled: Database) -> None:
    domain = ".".join(["d" * 61] * 4)
    with filled.transaction() as db:
        mailbox = db.scalars(select(Mailbox).where(Mailbox.email == ANNA)).one()
        mailbox.email = f"{'l' * 64}@{domain}"
        key = oidc_keys.signing_key(db, KEY)
        token = oidc.access_token(key, f"https://{domain}", oidc.Opened(2**31, mailbox))
        line = f"user={mailbox.email}\x01auth=Bearer {token}\x01\x01"
        db.rollback()
    assert len("AUTH XOAUTH2 ") + (len(line) + 2) // 3 * 4 < 2048


@pytest.mark.parametrize(
    "changed",
    [
        {"redirect_uri": f"{CALLBACK}/"},
        {"redirect_uri": "https://evil.example/index.php/login/oauth"},
        {"redirect_uri": None},
        {"client_id": "somebody"},
        {"client_id": None},
    ],
)
def test_another_client_or_address_gets_no_code_and_no_redirect(
    anna: Person, changed: dict[str, str | None]
) -> None:
    answer = anna.ask(**changed)
    assert answer.status_code == 400 and "Location" not in answer.headers


@pytest.mark.parametrize(
    "changed",
    [
        {"code_challenge": None, "code_challenge_method": None},
        {"code_challenge_method": None},
        {"code_challenge_method": "plain"},
        {"code_challenge": "short"},
        {"response_type": "token"},
        {"scope": "openid mail admin"},
        {"scope": None},
    ],
)
def test_a_request_without_pkce_or_with_other_wishes_gets_an_error(
    anna: Person, changed: dict[str, str | None]
) -> None:
    answer = anna.ask(**changed).headers["Location"]
    assert answer.startswith(f"{CALLBACK}?error=") and "code=" not in answer


@pytest.mark.parametrize(
    ("changed", "error"),
    [
        ({"code_verifier": "w" * 64}, "invalid_grant"),
        ({"code_verifier": ""}, "invalid_request"),
        ({"redirect_uri": "https://evil.example/"}, "invalid_grant"),
        ({"client_secret": "guessed"}, "invalid_client"),
        ({"client_secret": ""}, "invalid_client"),
        ({"code": "guessed"}, "invalid_grant"),
        ({"grant_type": "password"}, "unsupported_grant_type"),
    ],
)
def test_a_stolen_code_is_of_no_use(anna: Person, changed: dict[str, str], error: str) -> None:
    code = anna.code()
    answer = anna.exchange(**{"code": code, **changed})
    assert answer.status_code in (400, 401) and answer.get_json()["error"] == error


def test_a_code_is_good_for_a_minute(anna: Person, filled: Database) -> None:
    code = anna.code()
    with filled.transaction() as db:
        db.execute(update(OidcGrant).values(expires_at=utc_now() - timedelta(seconds=1)))
    assert anna.exchange(code).get_json()["error"] == "invalid_grant"


def test_a_code_that_is_used_again_ends_the_session(anna: Person, filled: Database) -> None:
    code = anna.code()
    refresh = anna.exchange(code).get_json()["refresh_token"]
    assert anna.exchange(code).get_json()["error"] == "invalid_grant"
    assert sessions(filled) == 0
    assert anna.refresh(refresh).status_code == 400
    assert anna.get("/account").headers["Location"] == "/login"


def test_each_refresh_gives_another_refresh_token(anna: Person) -> None:
    first = anna.tokens()
    second = anna.refresh(first["refresh_token"]).get_json()
    assert second["refresh_token"] != first["refresh_token"]
    assert verified(anna, second["access_token"])["email"] == ANNA


def test_requests_at_the_same_moment_may_refresh_with_the_same_token(anna: Person, filled: Database) -> None:
    token = anna.tokens()["refresh_token"]
    assert [anna.refresh(token).status_code for _ in range(2)] == [200, 200]
    assert sessions(filled) == 1


def test_a_refresh_token_that_is_used_again_later_ends_the_session(anna: Person, filled: Database) -> None:
    stolen = anna.tokens()["refresh_token"]
    newer = anna.refresh(stolen).get_json()["refresh_token"]
    with filled.transaction() as db:
        used = update(OidcGrant).where(OidcGrant.used_at.is_not(None))
        db.execute(used.values(used_at=utc_now() - oidc.LEEWAY - timedelta(seconds=1)))
    assert anna.refresh(stolen).status_code == 400
    assert anna.refresh(newer).status_code == 400
    assert sessions(filled) == 0


@pytest.mark.parametrize("way", ["logged out", "disabled", "idle"])
def test_a_session_that_ended_gets_no_tokens(anna: Person, filled: Database, way: str) -> None:
    token = anna.tokens()["refresh_token"]
    with filled.transaction() as db:
        mailbox = db.scalars(select(Mailbox).where(Mailbox.email == ANNA)).one()
        if way == "disabled":
            set_mailbox_active(db, COMMAND_LINE, mailbox.id, False)
        elif way == "idle":
            db.execute(update(WebSession).values(last_seen_at=utc_now() - timedelta(hours=1)))
    if way == "logged out":
        anna.post("/logout")
    assert anna.refresh(token).status_code == 400


def test_the_webmails_use_keeps_the_session_and_ends_what_is_open_with_it(
    anna: Person, filled: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    kicked: list[set[str]] = []
    tokens = anna.tokens()
    with filled.transaction() as db:
        db.execute(update(WebSession).values(last_seen_at=utc_now() - timedelta(minutes=20)))
    anna.refresh(tokens["refresh_token"])
    with filled.transaction() as db:
        row = db.scalars(select(WebSession)).one()
        assert utc_now() - row.last_seen_at < timedelta(minutes=1)
        db.delete(row)
        db.flush()
        kicked.append(db.info[USERS])
    assert kicked == [{ANNA}]


def test_who_leaves_the_webmail_leaves_the_account_too(anna: Person, filled: Database) -> None:
    hint = anna.tokens()["id_token"]
    assert anna.get(f"/oidc/logout?id_token_hint={hint}").headers["Location"] == "/login"
    assert "You are logged out." in anna.get("/login").text
    assert sessions(filled) == 0


@pytest.mark.parametrize("hint", ["", "x.y.z", "an access token"])
def test_a_link_of_a_stranger_logs_nobody_out(anna: Person, filled: Database, hint: str) -> None:
    hint = anna.tokens()["access_token"] if " " in hint else hint
    assert anna.get(f"/oidc/logout?id_token_hint={hint}").headers["Location"] == "/account"
    assert sessions(filled) == 1


def test_an_admin_gets_no_token(browser: Browser, app: Flask, filled: Database) -> None:
    admin = Person(app, ADMIN_SITE)
    admin.client = browser.client
    assert admin.ask().status_code == 404
    assert browser.get("/.well-known/openid-configuration").status_code == 404


def test_tokens_are_given_inside_the_stack_only_and_nothing_else_is(anna: Person) -> None:
    assert anna.post_without_token("/oidc/token", grant_type="refresh_token").status_code == 404
    for path in ("/login", "/oidc/keys", "/account", "/"):
        assert anna.client.get(path, base_url="http://usermgmt:8080").status_code == 404, path


def test_a_token_on_the_command_line_is_for_a_canary_alone(
    filled: Database, hasher: Hasher, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = Database("sqlite://")
    plain.sessions.configure(bind=filled.engine)
    with plain.transaction() as session:
        made = Directory(session, COMMAND_LINE, hasher)
        made.domain("mailctl-canary.test")
        made.mailbox("canary@mailctl-canary.test")
    monkeypatch.setattr(cli_database, "open_database", lambda: plain)
    monkeypatch.setattr(cli_canary, "environment", lambda: USUAL)
    run = CliRunner().invoke
    token = run(cli.cli, ["canary-token", "canary@mailctl-canary.test"]).output
    assert json.loads(urlsafe_b64decode(token.split(".")[1] + "=="))["email"] == "canary@mailctl-canary.test"
    refused = run(cli.cli, ["canary-token", ANNA])
    assert refused.exit_code == 1 and "is no canary" in refused.output


def test_discovery_names_what_is_there(anna: Person) -> None:
    found = anna.get("/.well-known/openid-configuration").get_json()
    assert found["issuer"] == "https://account.example.org"
    assert found["code_challenge_methods_supported"] == ["S256"]
    assert found["token_endpoint"] == "http://usermgmt:8080/oidc/token"
    assert "keys" in anna.get(urlsplit(found["jwks_uri"]).path).get_json()


def test_a_new_key_signs_after_a_month_and_the_old_one_still_verifies(anna: Person, filled: Database) -> None:
    old = anna.tokens()["access_token"]
    with filled.transaction() as db:
        db.execute(update(OidcKey).values(created_at=utc_now() - oidc_keys.SIGNS_FOR))
    new = anna.tokens()["access_token"]
    assert verified(anna, old)["email"] == verified(anna, new)["email"] == ANNA
    with filled.transaction() as db:
        assert len(db.scalars(select(OidcKey)).all()) == 2
        db.execute(update(OidcKey).values(created_at=utc_now() - oidc_keys.KNOWN_FOR))
        oidc_keys.begin(db, KEY)
    assert len(anna.get("/oidc/keys").get_json()["keys"]) == 1


def test_a_copy_of_the_database_signs_nothing(anna: Person, filled: Database) -> None:
    anna.tokens()
    with filled.transaction() as db:
        row = db.scalars(select(OidcKey)).one()
        assert oidc_keys.unwrap(row, "another key") is None
        assert oidc_keys.unwrap(OidcKey(kid="k", private_key="broken"), KEY) is None
        assert not re.search(r'PRIVATE|"d"', row.private_key)
        # With another session key the server goes on, by a key of its own.
        assert oidc_keys.signing_key(db, "another key").kid != row.kid
        db.rollback()
