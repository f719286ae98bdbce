"""Forwarding outside: who may choose what, whom the filter is told, and what people read about it."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from click.testing import CliRunner
from flask import Flask
from sqlalchemy import select
from support import ACCOUNT_SITE, PASSWORD, Browser, Directory
from test_senders import FILTER

from usermgmt import cli_programs
from usermgmt.database import Database
from usermgmt.models import Alias, Mailbox, MailRules
from usermgmt.problems import Refused
from usermgmt.services import aliases, host_news, mail_rules, outside, transfer
from usermgmt.services.audit import Actor
from usermgmt.settings import Settings

ANNA, BERT, INFO = "anna@example.org", "bert@example.org", "info@example.org"
OLD, TWO = "old@elsewhere.example", "two@elsewhere.example"
STATE = {"incidents": [], "queue": None}


def choose(directory: Directory, who: str, to: str, keep: bool = True) -> MailRules:
    """Forward somebody's mail."""
    mailbox = directory.session.scalar(select(Mailbox).where(Mailbox.email == who))
    assert mailbox
    mail_rules.set_forwards(directory.session, directory.actor, mailbox, to, keep)
    directory.session.flush()
    return mail_rules.rules_of(directory.session, mailbox)


def told(directory: Directory, **states: str) -> dict[str, list[str]]:
    """What the filter is told, once mailctl has said how the addresses stand."""
    known = {OLD: states.get("old"), TWO: states.get("two")}
    said = {"states": {each: state for each, state in known.items() if state}, "ours": []}
    outside.keep(directory.session, json.dumps(said))
    directory.session.flush()
    found: dict[str, list[str]] = json.loads(outside.document(directory.session))
    return found


def of_people(found: dict[str, list[str]]) -> dict[str, list[str]]:
    """The same without the duties, whose mail falls to the oldest mailbox."""
    return {each: to for each, to in found.items() if not each.startswith(("abuse@", "postmaster@"))}


def test_mail_forwarded_outside_stays_here_whatever_was_chosen(directory: Directory) -> None:
    rules = choose(directory, ANNA, OLD, keep=False)
    assert (rules.forward_to, rules.forward_outside, rules.script) == ("", OLD, None)
    rules = choose(directory, ANNA, f"{OLD} {BERT}", keep=False)
    assert rules.forward_outside == OLD and rules.script and "elsewhere" not in rules.script


def test_the_filter_is_told_of_people_of_aliases_and_of_those_whose_mail_comes_to_them(
    directory: Directory,
) -> None:
    choose(directory, ANNA, f"{OLD} {BERT}")
    choose(directory, BERT, TWO)
    directory.alias(INFO, f"{ANNA} {TWO}")
    assert of_people(told(directory)) == {ANNA: [OLD, TWO], BERT: [TWO], INFO: [OLD, TWO]}


def test_an_address_that_waits_for_its_confirmation_is_left_out(directory: Directory) -> None:
    choose(directory, ANNA, f"{OLD} {TWO}")
    assert told(directory, old="waiting", two="verified")[ANNA] == [TWO]


def test_a_catch_all_forwards_what_its_owner_does_and_takes_nobody_s_mail(directory: Directory) -> None:
    choose(directory, ANNA, OLD)
    directory.alias("@example.org", ANNA)
    found = told(directory)
    assert found["@example.org"] == found[ANNA] == [OLD] and found[BERT] == []


def test_postmaster_s_mail_is_forwarded_as_that_of_whom_it_falls_to(directory: Directory) -> None:
    choose(directory, ANNA, OLD)
    assert told(directory) == {each: [OLD] for each in (ANNA, "abuse@example.org", "postmaster@example.org")}


def test_what_is_disabled_or_has_become_ours_is_not_forwarded(directory: Directory) -> None:
    rows = {row.destination: row for row in directory.alias(INFO, f"{ANNA} {OLD} {TWO}")}
    aliases.set_alias_active(directory.session, directory.actor, rows[OLD].id, False)
    assert told(directory) == {INFO: [TWO]}
    directory.domain("elsewhere.example")
    directory.mailbox(TWO)
    assert told(directory) == {}


@pytest.mark.parametrize("how", ["add", "disable", "delete", "import"])
def test_an_alias_never_leads_outside_alone(
    directory: Directory, database: Database, actor: Actor, how: str
) -> None:
    session = directory.session
    with pytest.raises(Refused, match="outside this server alone"):
        if how == "add":
            directory.alias(INFO, OLD)
        elif how == "import":
            session.commit()
            table = f"address,destinations\n{INFO},{OLD}\n"
            transfer.import_table(database, directory.hasher, actor, table.encode())
        else:
            rows = {row.destination: row.id for row in directory.alias(INFO, f"{ANNA} {OLD}")}
            if how == "delete":
                aliases.delete_alias(session, actor, rows[ANNA])
            else:
                aliases.set_alias_active(session, actor, rows[ANNA], False)


def test_mailctl_hears_whom_to_ask_and_says_how_they_stand(
    directory: Directory, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    choose(directory, ANNA, OLD)
    directory.alias(INFO, f"{BERT} {TWO}")
    directory.session.commit()
    monkeypatch.setattr("usermgmt.cli_database.open_database", lambda: database)
    run = lambda said: CliRunner().invoke(cli_programs.destinations, input=said)  # noqa: E731
    assert json.loads(run("").stdout) == {"wanted": [OLD, TWO], "ours": []}
    said = {"states": {OLD: "verified"}, "ours": [OLD]}
    assert json.loads(run(json.dumps(said)).stdout)["ours"] == [OLD]
    assert outside.state_of(directory.session, [OLD, TWO]) == {OLD: "verified", TWO: "unknown"}
    wrong = run('{"states": {"a@b.example": "fine"}}')
    assert wrong.exit_code == 1 and "not what mailctl tells" in wrong.output


@pytest.fixture
def settings(settings: Settings, request: pytest.FixtureRequest) -> Settings:
    """The filter is known by its address; a test may say whether the relay forwards."""
    return replace(settings, filter_host=FILTER, forward_by_relay=getattr(request, "param", False))


@pytest.fixture
def anna(app: Flask, web_database: Database, actor: Actor) -> Browser:
    """Anna, logged in, who forwards outside."""
    from usermgmt.passwords import Hasher
    from usermgmt.services import domains, mailboxes

    with web_database.transaction() as session:
        domains.add_domain(session, actor, "example.org")
        mailboxes.add_mailbox(session, actor, Hasher(cheap=True), ANNA, PASSWORD, "1G")
    person = Browser(app, ACCOUNT_SITE)
    person.log_in(ANNA, PASSWORD)
    assert person.post("/account/mail/forwarding", forward_to=f"{OLD}\n{TWO}").status_code == 303
    return person


def test_the_page_says_how_each_address_stands_and_what_was_not_forwarded(
    anna: Browser, web_database: Database
) -> None:
    assert "Unknown: Cloudflare will be asked" in anna.get("/account/mail").text
    at = datetime(2026, 11, 28, 9, tzinfo=UTC).timestamp()
    entry = {"recipient": ANNA, "destination": OLD, "count": 3, "at": at}
    failed = [{**entry, "reason": "mailbox <b>full</b>"}, {**entry, "reason": "spool"}]
    others = {**entry, "recipient": BERT, "reason": "not for her eyes"}
    with web_database.transaction() as session:
        outside.keep(session, json.dumps({"states": {OLD: "verified", TWO: "waiting"}, "ours": []}))
        host_news.keep(session, json.dumps({**STATE, "forwards": [*failed, others]}))
    page = anna.get("/account/mail").text
    for words in (f"{OLD}\n{TWO}", "Confirmed", "confirm the mail that Cloudflare sent", "3 mails"):
        assert words in page, words
    assert "mailbox &lt;b&gt;full&lt;/b&gt;" in page and "It waited at Cloudflare" in page
    assert "not for her eyes" not in page


@pytest.mark.parametrize(
    ("settings", "words", "others"),
    [
        (False, "is not forwarded outside", "a report may come"),
        (True, "a report may come", "is not forwarded outside"),
    ],
    indirect=["settings"],
)
def test_the_page_promises_only_what_is_forwarded(anna: Browser, words: str, others: str) -> None:
    page = anna.get("/account/mail").text
    assert words in page and others not in page


def test_the_alias_page_says_which_destinations_are_outside(
    browser: Browser, anna: Browser, web_database: Database, actor: Actor
) -> None:
    with web_database.transaction() as session:
        aliases.add_alias(session, actor, INFO, f"{ANNA} {OLD}")
        assert session.scalar(select(Alias).where(Alias.destination == OLD))
    page = browser.get("/aliases").text
    assert page.count("Cloudflare will be asked to send a mail there") == 1


def test_the_filter_alone_is_told(app: Flask, anna: Browser) -> None:
    def ask(peer: str) -> object:
        peers = {"REMOTE_ADDR": peer}
        headers = {"Host": "127.0.0.1"}
        return app.test_client().get("/internal/forwards", headers=headers, environ_overrides=peers)

    assert ask("192.0.2.99").status_code == 404
    assert ask(FILTER).json[ANNA] == [OLD, TWO]
