"""Allowed and blocked senders: whose list is whose, what the filter is told, the page of a mail."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from flask import Flask
from support import Browser, Directory, give_domains, texts
from test_api import Program, token
from test_mail_reports import ANNA, BERT, FILTER, reader, report, rows, send
from werkzeug.test import TestResponse

from usermgmt.database import Database
from usermgmt.models import SenderRule
from usermgmt.passwords import Hasher
from usermgmt.problems import Refused
from usermgmt.services import admins, aliases, domains, senders
from usermgmt.services.audit import COMMAND_LINE
from usermgmt.settings import Settings

PASSWORD = "correct horse battery"
DORA = "dora@elsewhere.example"
SHOP = "shop.example"


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """With a filter whose address is known."""
    return replace(settings, filter_host=FILTER)


@pytest.fixture
def mailboxes(app: Flask, web_database: Database, hasher: Hasher) -> Database:
    """example.org with anna, bert, an alias to both and an admin of its own, and a domain beside it."""
    Browser(app).get("/login")
    with web_database.transaction() as session:
        directory = Directory(session, COMMAND_LINE, hasher)
        for domain, names in (("example.org", ("anna", "bert")), ("foreign.example", ("carl",))):
            directory.domain(domain)
            for name in names:
                directory.mailbox(f"{name}@{domain}", password=PASSWORD)
        directory.alias("team@example.org", f"{ANNA} {BERT}")
        admins.add_admin(session, COMMAND_LINE, hasher, DORA, PASSWORD)
        give_domains(session, DORA, ["example.org"])
    return web_database


@pytest.fixture
def dora(app: Flask, mailboxes: Database) -> Browser:
    """A browser of the admin of example.org."""
    browser = Browser(app)
    assert browser.log_in(DORA, PASSWORD).status_code == 303
    return browser


@pytest.mark.parametrize(
    ("entered", "stored"),
    [
        (" News@Shop.Example ", "news@shop.example"),
        ("Bücher.example.", "xn--bcher-kva.example"),
        ("@shop.example", "shop.example"),
        ("*@shop.example", "shop.example"),
        ("*.Shop.example", "*.shop.example"),
    ],
)
def test_a_sender_is_stored_in_one_form_however_it_is_written(entered: str, stored: str) -> None:
    assert senders.parse_pattern(entered) == stored


@pytest.mark.parametrize("entered", ["", "*", "*.com", "shop", "a b@shop.example"])
def test_what_would_be_too_wide_or_is_no_sender_is_refused(entered: str) -> None:
    with pytest.raises(Refused):
        senders.parse_pattern(entered)


def test_a_sender_is_in_a_list_once_and_a_list_has_an_end(
    directory: Directory, monkeypatch: pytest.MonkeyPatch
) -> None:
    session, actor = directory.session, directory.actor
    monkeypatch.setattr(senders, "MOST", 1)
    first = senders.set_rule(session, actor, senders.Owner(), SHOP, "allow")
    again = senders.set_rule(session, actor, senders.Owner(), SHOP, "block", "a\nnote")
    assert (again.id, again.kind, again.note) == (first.id, "block", "a note")
    with pytest.raises(Refused) as refusal:
        senders.set_rule(session, actor, senders.Owner(), "other.example", "maybe")
    assert [field for field, _ in texts(refusal)] == ["kind"]
    with pytest.raises(Refused, match="1 entries already"):
        senders.set_rule(session, actor, senders.Owner(), "other.example", "allow")
    anna = senders.owner_named(session, actor, "anna@example.org")
    for own in ("bert@example.org", "example.org", "*.example.org"):
        with pytest.raises(Refused, match="is on this server"):
            senders.set_rule(session, actor, anna, own, "block")
    assert senders.set_rule(session, actor, anna, SHOP, "allow").applies_to == "anna@example.org"


def test_the_filter_is_told_to_whom_each_list_applies(directory: Directory) -> None:
    session, actor = directory.session, directory.actor
    directory.domain("caught.example")
    directory.alias("info@example.org", "anna@example.org")
    directory.alias("team@example.org", "anna@example.org bert@example.org")
    directory.alias("@caught.example", "info@example.org")
    directory.alias("sales@caught.example", "bert@example.org")
    for whose, sender, kind in (
        ("", "*.spam.example", "block"),
        ("example.org", SHOP, "allow"),
        ("anna@example.org", SHOP, "block"),
    ):
        senders.set_rule(session, actor, senders.owner_named(session, actor, whose), sender, kind)
    anna = str(senders.owner_named(session, actor, "anna@example.org").mailbox_id)
    assert json.loads(senders.document(session)) == {
        "server": {"*.spam.example": "block"},
        "domains": {"example.org": {SHOP: "allow"}},
        "people": {anna: {SHOP: "block"}},
        "addresses": {
            "anna@example.org": anna,
            "info@example.org": anna,
            "team@example.org": "",
            "@caught.example": anna,
            "sales@caught.example": "",
        },
        "junk": {},
    }
    [alias] = aliases.list_aliases(session, only="info@example.org")[0][0].destinations
    aliases.set_alias_active(session, actor, alias.id, False)
    assert json.loads(senders.document(session))["addresses"].get("info@example.org") != anna


def test_a_list_ends_with_the_domain_that_it_was_for(directory: Directory) -> None:
    session, actor = directory.session, directory.actor
    domain = directory.domain("short.example")
    senders.set_rule(session, actor, senders.owner_named(session, actor, domain.name), SHOP, "allow")
    session.connection().exec_driver_sql("PRAGMA foreign_keys=ON")
    domains.delete_domain(session, actor, domain.id)
    session.flush()
    assert json.loads(senders.document(session))["domains"] == {}


def ask(app: Flask, peer: str = FILTER, **headers: str) -> TestResponse:
    """What the filter asks."""
    headers = {"Host": "127.0.0.1", **headers}
    peers = {"REMOTE_ADDR": peer}
    return app.test_client().get("/internal/sender-rules", headers=headers, environ_overrides=peers)


def test_the_filter_alone_gets_the_lists_and_only_when_they_changed(
    app: Flask,
    mailboxes: Database,
) -> None:
    assert ask(app, peer="192.0.2.99").status_code == 404
    first = ask(app)
    assert first.json == {"server": {}, "domains": {}, "people": {}, "addresses": {}, "junk": {}}
    tag = first.headers["ETag"]
    unchanged = ask(app, **{"If-None-Match": tag})
    assert unchanged.status_code == 304 and not unchanged.data
    assert reader(app, ANNA).post("/senders", sender=SHOP, kind="block").status_code == 303
    assert list(ask(app, **{"If-None-Match": tag}).json["addresses"]) == [ANNA, "team@example.org"]


def lists(database: Database) -> list[tuple[str, str, str]]:
    """Everything that is stored."""
    with database.transaction() as session:
        found = session.query(SenderRule).order_by(SenderRule.id)
        return [(rule.applies_to, rule.kind, rule.pattern) for rule in found]


def test_each_changes_the_lists_that_are_theirs_and_sees_no_others(
    app: Flask,
    mailboxes: Database,
    dora: Browser,
) -> None:
    owner = Browser(app)
    owner.log_in()
    for browser, whose, status in (
        (owner, "", 303),
        (owner, "foreign.example", 303),
        (dora, "", 422),
        (dora, "foreign.example", 422),
        (dora, "carl@foreign.example", 422),
        (dora, "example.org", 303),
        (dora, "nobody@example.org", 422),
        (dora, BERT, 303),
        (reader(app, ANNA), "example.org", 303),
    ):
        answer = browser.post("/senders", sender=SHOP, kind="allow", applies_to=whose)
        assert answer.status_code == status, whose
    whose = [applies_to for applies_to, _, _ in lists(mailboxes)]
    assert whose == ["", "foreign.example", "example.org", BERT, ANNA], "a person's form is about themselves"
    seen = dora.get("/senders").text
    assert all(each in seen for each in ("example.org", ANNA, BERT)) and "foreign.example" not in seen
    numbers = range(1, 6)
    anna = reader(app, ANNA)
    assert [anna.post(f"/senders/{n}/delete").status_code for n in numbers] == [404, 404, 404, 404, 303]
    assert [dora.post(f"/senders/{n}/delete").status_code for n in numbers] == [404, 404, 303, 303, 404]


@pytest.mark.parametrize(
    ("whole", "whose", "stored"),
    [
        ("", "person", (ANNA, "allow", "writer@sender.example")),
        ("yes", "domain", ("example.org", "allow", "sender.example")),
    ],
)
def test_the_page_of_a_mail_that_was_held_back_allows_its_sender(
    app: Flask,
    mailboxes: Database,
    dora: Browser,
    whole: str,
    whose: str,
    stored: tuple[str, str, str],
) -> None:
    send(app, report(action="reject"))
    path = f"/mail/{rows(mailboxes)[0].id}"
    assert "Nothing proves that this mail is from that sender." in dora.get(path).text
    assert dora.post(f"{path}/allow", whole=whole, applies_to="server").status_code == 422
    assert dora.post(f"{path}/allow", whole=whole, applies_to=whose).status_code == 303
    assert lists(mailboxes) == [stored]
    assert "writer@sender.example is allowed" in dora.get(path).text or whole


def test_a_person_allows_for_themselves_and_nothing_that_was_delivered_as_usual(
    app: Flask,
    mailboxes: Database,
) -> None:
    proven: dict[str, Any] = {"name": "DMARC_POLICY_ALLOW", "score": -0.5, "text": ""}
    send(app, report(1, reasons=[proven]), report(2, action="no action"))
    anna = reader(app, ANNA)
    junked, delivered = (f"/mail/{row.id}" for row in rows(mailboxes))
    page = anna.get(junked).text
    assert "Allow this sender" in page and "Nothing proves" not in page
    assert "Allow this sender" not in anna.get(delivered).text
    assert anna.post(f"{junked}/allow", whole="", applies_to="domain").status_code == 422
    assert anna.post(f"{junked}/allow", whole="", applies_to="person").status_code == 303
    assert anna.post(f"{delivered}/allow", whole="", applies_to="person").status_code == 422
    assert lists(mailboxes) == [(ANNA, "allow", "writer@sender.example")]


def test_a_program_lists_adds_and_removes_senders(app: Flask, mailboxes: Database) -> None:
    program = Program(app, token(mailboxes, ("sender:write",)))
    body = {"sender": "Bücher.example", "kind": "block", "applies_to": "example.org", "note": "too much"}
    made = program("POST", "/senders", body)
    assert made.status_code == 201 and made.json["sender"] == "xn--bcher-kva.example"
    assert program("POST", "/senders", {**body, "kind": "maybe"}).status_code == 422
    assert program("GET", "/senders?q=bücher.example&exact=true").json["items"] == [made.json]
    one = f"/senders/{made.json['id']}"
    assert program("GET", one).json == made.json
    assert program("DELETE", one).status_code == 204 and lists(mailboxes) == []


def test_a_person_sets_from_which_score_their_own_mail_goes_to_junk(app: Flask, mailboxes: Database) -> None:
    browser = reader(app, ANNA)
    for entered in ("1", "13", "five", "6.5"):
        refused = browser.post("/senders/junk-limit", junk_from=entered)
        assert refused.status_code == 422 and "Use a number from 2 to 12." in refused.text
    assert browser.post("/senders/junk-limit", junk_from=" 4 ").status_code == 303
    told = ask(app).json
    anna = told["addresses"][ANNA]
    assert told["junk"] == {anna: 4} and BERT not in told["addresses"]
    assert 'value="4"' in browser.get("/senders").text
    browser.post("/senders/junk-limit", junk_from="")
    assert ask(app).json["junk"] == {}


def test_an_admin_has_no_limit_of_their_own(app: Flask, dora: Browser) -> None:
    assert "junk_from" not in dora.get("/senders").text
    assert dora.post("/senders/junk-limit", junk_from="4").status_code in (403, 404)
