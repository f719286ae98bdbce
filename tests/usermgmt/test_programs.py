"""What mail programs and phones get: servers for whoever asks, an app password only by a link that works."""

from __future__ import annotations

import plistlib
import re
import subprocess
from dataclasses import replace
from html import unescape
from pathlib import Path
from xml.etree.ElementTree import Element

import pytest
import trustme
from conftest import USUAL
from cryptography.fernet import Fernet
from defusedxml import ElementTree
from flask import Flask
from sqlalchemy import select, update
from support import ACCOUNT_SITE, PASSWORD, Browser, Directory

from usermgmt.database import Database
from usermgmt.models import AppPassword, AuditEntry, Mailbox, utc_now
from usermgmt.passwords import Hasher
from usermgmt.services import programs
from usermgmt.services.audit import Actor
from usermgmt.settings import Settings

ANNA, HOST = "anna@example.org", "imap.example.org"
OUTLOOK = "http://schemas.microsoft.com/exchange/autodiscover/"
ASKED = f"""<?xml version="1.0"?>
<Autodiscover xmlns="{OUTLOOK}outlook/requestschema/2006">
  <Request>
    <EMailAddress>{{}}</EMailAddress>
    <AcceptableResponseSchema>{OUTLOOK}outlook/responseschema/2006a</AcceptableResponseSchema>
  </Request>
</Autodiscover>"""


@pytest.fixture
def authority() -> trustme.CA:
    return trustme.CA(organization_name="A public authority")


@pytest.fixture
def settings(tmp_path: Path, authority: trustme.CA, request: pytest.FixtureRequest) -> Settings:
    """With mail programs on, and a certificate of an authority that phones know; or off."""
    if getattr(request, "param", "on") == "off":
        return USUAL
    file, one = tmp_path / "client_tls.pem", authority.issue_cert(HOST)
    file.write_bytes(one.private_key_pem.bytes() + b"".join(each.bytes() for each in one.cert_chain_pems))
    return replace(USUAL, client_host=HOST, client_tls=file)


@pytest.fixture
def anna(app: Flask, web_database: Database, actor: Actor, hasher: Hasher) -> Browser:
    with web_database.transaction() as session:
        made = Directory(session, actor, hasher)
        made.domain("example.org")
        made.mailbox(ANNA, password=PASSWORD)
    browser = Browser(app, ACCOUNT_SITE)
    assert browser.log_in(ANNA, PASSWORD).status_code == 303
    return browser


def ready(anna: Browser) -> tuple[str, str]:
    """The path of the link in the square, and the app password on the page."""
    anna.get("/account/phone")
    page = anna.post("/account/app-passwords", name="Phone", old_password=PASSWORD).text
    found = re.search(r'href="/phone/mail\.mobileconfig(\?link=[^"]+)"', page)
    password = re.search(r'class="secret"><code>([^<]+)', page)
    assert found and password and "<svg" in page
    return f"/phone{unescape(found[1])}", password[1]


def test_thunderbird_finds_the_servers(app: Flask) -> None:
    for path in ("/mail/config-v1.1.xml", "/.well-known/autoconfig/mail/config-v1.1.xml"):
        answer = Browser(app, ACCOUNT_SITE).get(f"{path}?emailaddress={ANNA}")
        assert (answer.status_code, answer.content_type) == (200, "text/xml; charset=utf-8")
        config = ElementTree.fromstring(answer.data)
        found = [
            {each.tag: each.text for each in config.find(f"emailProvider/{way}")}
            for way in ("incomingServer", "outgoingServer")
        ]
        assert [(f["hostname"], f["port"], f["socketType"], f["username"]) for f in found] == [
            (HOST, "993", "SSL", "%EMAILADDRESS%"),
            (HOST, "465", "SSL", "%EMAILADDRESS%"),
        ]
        assert "domain" in {each.tag for each in config.find("emailProvider")}


def outlook(app: Flask, body: str) -> Element:
    answer = app.test_client().post(
        "/autodiscover/autodiscover.xml",
        data=body,
        base_url=f"http://{ACCOUNT_SITE}",
        content_type="text/xml",
        environ_overrides={"REMOTE_ADDR": USUAL.proxy_host},
    )
    assert answer.status_code == 200, answer.text
    return ElementTree.fromstring(answer.data)


def test_outlook_is_told_the_servers_and_its_own_address_whoever_that_is(app: Flask) -> None:
    for email in (ANNA, "nobody@example.org"):
        account = outlook(app, ASKED.format(email)).find(
            f".//{{{OUTLOOK}outlook/responseschema/2006a}}Account"
        )
        texts = [[each.text for each in one if len(one) > 1] for one in account if len(one)]
        assert texts == [
            [kind, HOST, port, "off", email, "off", "on", "on"]
            for kind, port in (("IMAP", "993"), ("SMTP", "465"))
        ]


@pytest.mark.parametrize(
    "body",
    [
        "",
        "no xml",
        ASKED.format("no address"),
        ASKED.format("a@example.org&lt;/LoginName&gt;"),
        '<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]>' + ASKED.partition("?>")[2].format("&b;"),
        ASKED.format("a" * 9000),
    ],
    ids=["nothing", "no xml", "no address", "markup", "entity", "too long"],
)
def test_what_is_no_question_of_outlooks_is_refused_in_its_words(app: Flask, body: str) -> None:
    assert [each.text for each in outlook(app, body).iter() if each.tag.endswith("ErrorCode")] == ["600"]


def test_an_iphone_gets_a_signed_profile_with_an_app_password(
    app: Flask, anna: Browser, authority: trustme.CA, tmp_path: Path, web_database: Database
) -> None:
    link, password = ready(anna)
    phone = Browser(app, ACCOUNT_SITE)
    page = phone.get(link)
    assert page.status_code == 200 and ANNA in page.text and password in page.text and HOST in page.text
    # Not `phone.get`, which reads text.
    path = link.replace("/phone", "/phone/mail.mobileconfig")
    answer = phone.client.get(path, base_url=phone.base_url, environ_overrides=phone.environ)
    assert answer.content_type == "application/x-apple-aspen-config"
    (tmp_path / "profile").write_bytes(answer.data)
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    words = ["cms", "-verify", "-inform", "DER", "-in", "profile", "-CAfile", "ca.pem", "-purpose", "any"]
    done = subprocess.run(["openssl", *words], cwd=tmp_path, capture_output=True, check=True)
    profile = plistlib.loads(done.stdout)
    account = profile["PayloadContent"][0]
    assert (account["EmailAddress"], account["IncomingPassword"]) == (ANNA, password)
    assert account["IncomingMailServerHostName"] == account["OutgoingMailServerHostName"] == HOST
    assert (account["IncomingMailServerPortNumber"], account["OutgoingMailServerPortNumber"]) == (993, 465)
    assert account["IncomingMailServerUseSSL"] and account["OutgoingMailServerUseSSL"]
    with web_database.transaction() as session:
        assert session.scalar(select(AuditEntry).where(AuditEntry.action == "app-password.add"))
        # The same phone again gets the same identifiers, so that the profile replaces the one before.
    assert (
        profile["PayloadUUID"]
        == plistlib.loads(programs.profile(HOST, programs.Opened(ANNA, "", "x")))["PayloadUUID"]
    )


def too_old(_db: Database, patch: pytest.MonkeyPatch) -> None:
    decrypt = Fernet.decrypt
    patch.setattr(Fernet, "decrypt", lambda self, token, ttl: decrypt(self, token, ttl=-1))


def changed(**values: object):
    def change(db: Database, _patch: pytest.MonkeyPatch) -> None:
        with db.transaction() as session:
            session.execute(update(AppPassword).values(**values))

    return change


def inactive(db: Database, _patch: pytest.MonkeyPatch) -> None:
    with db.transaction() as session:
        session.execute(update(Mailbox).values(active=False))


@pytest.mark.parametrize(
    "ends",
    [too_old, changed(last_used_at=utc_now()), changed(password_hash="0" * 64), inactive],
    ids=["too old", "used", "revoked", "mailbox disabled"],
)
def test_a_link_ends(
    app: Flask, anna: Browser, web_database: Database, monkeypatch: pytest.MonkeyPatch, ends
) -> None:
    link, password = ready(anna)
    phone = Browser(app, ACCOUNT_SITE)
    assert phone.get(link).status_code == 200
    ends(web_database, monkeypatch)
    for path in (link, link.replace("/phone", "/phone/mail.mobileconfig")):
        answer = phone.get(path)
        assert answer.status_code == 404 and password not in answer.text
    forged = phone.get(
        "/phone?link=" + Fernet(Fernet.generate_key()).encrypt(f"1:{password}".encode()).decode()
    )
    assert forged.status_code == 404 and phone.get("/phone?link=%F0%9F%92%A9").status_code == 404


def test_the_page_says_when_the_certificate_is_not_one_that_phones_trust(
    app: Flask, anna: Browser, tmp_path: Path
) -> None:
    assert "no certificate yet that phones trust" not in anna.get("/account/phone").text
    one = trustme.CA(organization_unit_name="internal CA").issue_cert(HOST)
    (tmp_path / "client_tls.pem").write_bytes(one.private_key_and_cert_chain_pem.bytes())
    assert "no certificate yet that phones trust" in anna.get("/account/phone").text


@pytest.mark.parametrize("settings", ["off"], indirect=True)
def test_where_mail_programs_are_off_the_page_says_how_to_get_in_and_programs_get_nothing(
    app: Flask, anna: Browser
) -> None:
    page = anna.get("/account/phone").text
    assert "Mail programs are off" in page and "Tailscale" in page and "WARP" in page and "<form" in page
    answer = anna.post("/account/app-passwords", name="Phone", old_password=PASSWORD)
    assert "App password" in answer.text and "<svg" not in answer.text
    for path in ("/mail/config-v1.1.xml", "/phone?link=x", "/phone/mail.mobileconfig?link=x"):
        assert anna.get(path).status_code == 404
