"""What the webmail gets of a person's contacts, from a real Radicale and with the tokens of a log-in."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from http.client import HTTPConnection
from types import SimpleNamespace
from typing import Any

import pytest
from flask import Flask
from joserfc import jwt
from joserfc.jwk import ECKey, KeySet
from sqlalchemy import delete
from support import ACCOUNT_SITE, PASSWORD, PROXY
from test_mail_reports import ANNA, BERT
from test_oidc import KEY, Person
from werkzeug.test import TestResponse

from usermgmt.database import Database
from usermgmt.mail import address_books, radicale
from usermgmt.mail.radicale import CONTACTS, Radicale
from usermgmt.models import Mailbox, WebSession
from usermgmt.services import calendars, oidc, oidc_keys
from usermgmt.services.audit import COMMAND_LINE
from usermgmt.services.mailboxes import set_mailbox_active
from usermgmt.settings import Settings

PATH, SERVER = "/internal/contacts", "http://usermgmt:8080"


@pytest.fixture
def settings(settings: Settings, dav_server: int) -> Settings:
    """With a Radicale."""
    return replace(settings, dav_host="127.0.0.1")


class Webmail:
    """Somebody in the webmail, and their phone."""

    def __init__(self, app: Flask, database: Database, address: str, port: int) -> None:
        self.app, self.port, browser = app, port, Person(app, ACCOUNT_SITE)
        assert browser.log_in(address, PASSWORD).status_code == 303
        self.token = browser.tokens()["access_token"]
        with database.transaction() as session:
            self.name = calendars.person(session.query(Mailbox).filter_by(email=address).one())
        Radicale("127.0.0.1").collections(self.name)

    def ask(self, token: str | None = None, base_url: str = SERVER, **more: Any) -> TestResponse:
        """What the webmail's server asks."""
        headers = {"Authorization": f"Bearer {self.token if token is None else token}", **more}
        return self.app.test_client().get(PATH, base_url=base_url, headers=headers)

    @property
    def names(self) -> list[str]:
        """Whom the webmail knows."""
        cards = [each["card"] for each in self.ask().get_json()["contacts"]]
        return sorted(line[3:] for card in cards for line in card.split("\n") if line.startswith("FN:"))

    def put(self, name: str, more: str = "", book: str = "contacts") -> None:
        """A contact of the phone."""
        card = f"BEGIN:VCARD\r\nVERSION:3.0\r\nUID:{name}\r\nFN:{name}\r\nN:;{name};;;\r\n{more}END:VCARD\r\n"
        self.dav("PUT", f"{book}/{name}.vcf", card)

    def dav(self, method: str, path: str, body: str = "") -> None:
        """What a phone does."""
        phone = HTTPConnection("127.0.0.1", self.port, timeout=60)
        phone.request(
            method,
            f"/{self.name}/{path}",
            body.encode(),
            {"X-Remote-User": self.name, "Content-Type": "text/vcard"},
        )
        answer = phone.getresponse()
        assert answer.status < 300, answer.read()
        phone.close()


@pytest.fixture
def webmail(app: Flask, mailboxes: Database, dav_server: int) -> Callable[[str], Webmail]:
    """Somebody who logs in to it."""
    return lambda address: Webmail(app, mailboxes, address, dav_server)


def test_each_person_gets_the_contacts_of_all_their_own_address_books(
    webmail: Callable[[str], Webmail],
) -> None:
    anna, bert = webmail(ANNA), webmail(BERT)
    Radicale("127.0.0.1").add(anna.name, CONTACTS, "Work")
    [work] = [each.key for each in Radicale("127.0.0.1").collections(anna.name) if each.name == "Work"]
    anna.put("Carla", "EMAIL:carla@shop.example\r\n")
    anna.put("Dora", book=work)
    bert.put("Emil")
    assert (anna.names, bert.names) == (["Carla", "Dora"], ["Emil"])
    ids = [each["id"] for each in anna.ask().get_json()["contacts"]]
    assert len(set(ids)) == 2 and ids == [each["id"] for each in anna.ask().get_json()["contacts"]]


def test_only_what_changed_is_read_again(
    webmail: Callable[[str], Webmail], monkeypatch: pytest.MonkeyPatch
) -> None:
    anna, read = webmail(ANNA), []
    cards, tags = Radicale.cards, Radicale.tags

    def read_cards(server: Radicale, person: str, key: str, hrefs: list[str]) -> dict[str, tuple[str, str]]:
        read.append(len(hrefs))
        return cards(server, person, key, hrefs)

    def read_tags(*asked: Any) -> dict[str, str]:
        read.append("tags")
        return tags(*asked)

    monkeypatch.setattr(Radicale, "cards", read_cards)
    monkeypatch.setattr(Radicale, "tags", read_tags)
    for name in ("Carla", "Dora", "Emil"):
        anna.put(name)
    assert anna.names == anna.names == ["Carla", "Dora", "Emil"] and read == ["tags", 3]
    anna.put("Dora", "NOTE:new\r\n")
    anna.dav("DELETE", "contacts/Emil.vcf")
    assert "NOTE:new" in anna.ask().text and anna.names == ["Carla", "Dora"]
    assert read == ["tags", 3, "tags", 1]


def test_a_reading_that_took_too_long_goes_on_where_it_ended(
    webmail: Callable[[str], Webmail], monkeypatch: pytest.MonkeyPatch
) -> None:
    anna = webmail(ANNA)
    for name in "abcd":
        anna.put(name)
    monkeypatch.setattr(address_books, "AT_ONCE", 1)
    moments = iter(range(100))
    # Only there: whatever else looked at the clock meanwhile would take moments away.
    monkeypatch.setattr(address_books, "time", SimpleNamespace(monotonic=lambda: next(moments) * 2.0))
    answers = [anna.ask().status_code for _ in range(3)]
    assert answers == [503, 200, 200] and anna.names == list("abcd")


def test_pictures_stay_with_the_phone_and_long_lines_are_whole(webmail: Callable[[str], Webmail]) -> None:
    anna = webmail(ANNA)
    anna.put("Carla", f"NOTE:{'n' * 300}\r\nPHOTO;ENCODING=b;TYPE=PNG:{'QUJD' * 2000}\r\n")
    [carla] = anna.ask().get_json()["contacts"]
    assert (
        "PHOTO" not in carla["card"] and f"NOTE:{'n' * 300}\n" in carla["card"] and len(carla["card"]) < 600
    )


def test_more_contacts_than_a_page_holds_are_told(
    webmail: Callable[[str], Webmail], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(address_books, "MOST", 2)
    anna = webmail(ANNA)
    for name, more in (("a", False), ("b", False), ("c", True)):
        anna.put(name)
        answer = anna.ask().get_json()
        assert answer["more"] is more
    assert len(answer["contacts"]) == 2


def test_a_token_that_opens_no_mailbox_opens_no_contacts(
    webmail: Callable[[str], Webmail], mailboxes: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    anna = webmail(ANNA)
    with mailboxes.transaction() as session:
        key = oidc_keys.signing_key(session, KEY)
        known = KeySet.import_key_set({"keys": oidc_keys.public_keys(session)})
    claims = jwt.decode(anna.token, known).claims
    stolen = ECKey.import_key(ECKey.generate_key("P-256").as_dict(private=True), {"kid": key.kid})
    tokens = {
        "nothing": "",
        "a changed token": f"{anna.token[:-4]}AAAA",
        "an identity token": oidc.sign(key, "JWT", claims | {"aud": oidc.CLIENT}),
        "of another issuer": oidc.sign(key, "at+jwt", claims | {"iss": "https://account.elsewhere.example"}),
        "of another key": oidc.sign(stolen, "at+jwt", claims),
        "of another person": oidc.sign(key, "at+jwt", claims | {"sub": "2"}),
    }
    with monkeypatch.context() as before:
        before.setattr(oidc, "ACCESS_LASTS", timedelta(seconds=-1))
        tokens["expired"] = oidc.sign(key, "at+jwt", claims)
    for name, token in tokens.items():
        refused = anna.ask(token)
        assert (refused.status_code, "contacts" in refused.text) == (401, False), name
        assert "invalid_token" in refused.headers["WWW-Authenticate"]
    assert anna.ask(oidc.sign(key, "at+jwt", claims)).status_code == 200


@pytest.mark.parametrize("way", ["the session ended", "the mailbox is disabled"])
def test_who_is_out_of_the_webmail_gets_nothing(
    webmail: Callable[[str], Webmail], mailboxes: Database, way: str
) -> None:
    anna = webmail(ANNA)
    assert anna.ask().status_code == 200
    with mailboxes.transaction() as session:
        if way == "the session ended":
            session.execute(delete(WebSession))
        else:
            mailbox = session.query(Mailbox).filter_by(email=ANNA).one()
            set_mailbox_active(session, COMMAND_LINE, mailbox.id, False)
    assert anna.ask().status_code == 401


def test_no_site_that_nginx_serves_has_this_path(
    webmail: Callable[[str], Webmail], settings: Settings
) -> None:
    anna = webmail(ANNA)
    for host in (settings.account_host, settings.admin_host):
        assert anna.ask(base_url=f"http://{host}").status_code == 404
        assert anna.ask(base_url=f"http://{host}", **{"X-Forwarded-For": PROXY}).status_code == 404


def test_without_radicale_there_is_an_answer_at_once(
    webmail: Callable[[str], Webmail], monkeypatch: pytest.MonkeyPatch
) -> None:
    anna = webmail(ANNA)
    monkeypatch.setattr(radicale, "PORT", 9)
    begun = time.monotonic()
    assert anna.ask().status_code == 503 and time.monotonic() - begun < radicale.ANSWER_SECONDS
