"""Automatic replies and forwards: the script says exactly what was chosen, and no choice makes a loop."""

from __future__ import annotations

import re
from datetime import datetime

import pytest
from flask import Flask
from hypothesis import given
from hypothesis import strategies as st
from support import ACCOUNT_SITE, PASSWORD, Browser, Directory, texts

from usermgmt.database import Database
from usermgmt.mail import sieve
from usermgmt.models import Alias, Mailbox, MailRules
from usermgmt.passwords import Hasher
from usermgmt.problems import Refused
from usermgmt.services import aliases, mail_rules, mailboxes, removal, transfer
from usermgmt.services.audit import Actor

ANNA, BERT = "anna@example.org", "bert@example.org"
TOKEN = re.compile(r'"((?:[^"\\]|\\.)*)"|[:\w]+|[][(){};,]|\s+|.', re.DOTALL)
printable = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=60)


def tokens(script: str) -> list[str]:
    """The words and strings of a script, read as RFC 5228 says; a string without its quotes and escapes."""
    found = []
    for match in TOKEN.finditer(script):
        if match.group().startswith('"'):
            found.append("=" + re.sub(r"\\(.)", r"\1", match.group(1), flags=re.DOTALL))
        elif match.group().strip():
            found.append(match.group())
    return found


@pytest.fixture
def anna(directory: Directory) -> Mailbox:
    """Anna's mailbox."""
    return directory.session.query(Mailbox).filter_by(email=ANNA).one()


def forward(directory: Directory, who: str, to: str, keep: bool = True) -> str | None:
    """Forward somebody's mail; returns the script."""
    mailbox = directory.session.query(Mailbox).filter_by(email=who).one()
    mail_rules.set_forwards(directory.session, directory.actor, mailbox, to, keep)
    directory.session.flush()
    return mail_rules.rules_of(directory.session, mailbox).script


@given(subject=printable, lines=st.lists(printable | st.just('";discard;#') | st.just("${x}\\"), min_size=1))
def test_whatever_is_written_the_script_says_exactly_that(subject: str, lines: list[str]) -> None:
    text = "\n".join(lines)
    rules = MailRules(reply=True, reply_subject=subject, reply_text=text, reply_days=3, forward_to="")
    script = sieve.script(rules, ANNA, ["info@example.org"])
    assert script is not None
    found = tokens(script)
    require = [found[: found.index(";")], found.index(";")]
    assert require[0] == ["require", "[", "=copy", ",", "=date", ",", "=relational", ",", "=vacation", "]"]
    assert found[require[1] + 1 :] == [
        *("if", "allof", "(", "true", ")", "{", "vacation", ":days", "3", ":subject", "=" + subject),
        *(":from", "=" + ANNA, ":addresses", "[", "=" + ANNA, ",", "=info@example.org", "]", "=" + text),
        *(";", "}"),
    ]


def test_the_days_are_those_of_the_person_s_time_zone(directory: Directory, anna: Mailbox) -> None:
    form = {"on": "yes", "text": "Away", "from": "2026-12-24", "until": "2026-12-26", "days": "7"}
    mail_rules.set_reply(directory.session, directory.actor, anna, form, "Asia/Tokyo")
    rules = mail_rules.rules_of(directory.session, anna)
    assert (rules.starts_at, rules.ends_at) == (datetime(2026, 12, 23, 15), datetime(2026, 12, 26, 15))
    assert rules.script and ':value "lt" "iso8601" "2026-12-26T15:00:00"' in rules.script


@pytest.mark.parametrize(
    ("field", "value", "reason"),
    [
        ("subject", "x" * 201, "too long"),
        ("subject", "Away\nBcc: all@example.net", "too long or has an invisible character"),
        ("text", " ", "There is no text"),
        ("text", "bell\x07", "invisible character"),
        ("from", "tomorrow", "not a day"),
        ("until", "2026-12-01", "before the first one"),
        ("days", "0", "number of days"),
        ("days", "९", "number of days"),
    ],
)
def test_a_reply_that_cannot_work_is_refused(
    directory: Directory, anna: Mailbox, field: str, value: str, reason: str
) -> None:
    form = {"on": "yes", "text": "Away", "from": "2026-12-24", "days": "7", field: value}
    with pytest.raises(Refused) as refusal:
        mail_rules.set_reply(directory.session, directory.actor, anna, form, "UTC")
    ((found, wrong),) = texts(refusal)
    assert found == field and reason in wrong


def test_forwards_are_redirects_with_or_without_a_copy(directory: Directory) -> None:
    assert forward(directory, ANNA, BERT) == (
        'require ["copy", "date", "relational", "vacation"];\nredirect :copy "bert@example.org";\n'
    )
    assert 'redirect "bert@example.org";' in str(forward(directory, ANNA, BERT, keep=False))
    assert forward(directory, ANNA, "") is None


@pytest.mark.parametrize(
    ("to", "reason"),
    [
        ("nobody@example.org", "neither a mailbox nor an alias"),
        (ANNA, "go round forever"),
        ("anna+tag@example.org", "go round forever"),
        ("both@example.org", "go round forever"),
        ("postmaster+x@example.org", "can fall to you"),
        (
            " ".join(f"bert+{number}@example.org" for number in range(5)),
            "four",
        ),
    ],
)
def test_a_forward_that_cannot_work_is_refused(directory: Directory, to: str, reason: str) -> None:
    directory.alias("both@example.org", f"{ANNA} {BERT}")
    directory.alias("postmaster@example.org", BERT)
    with pytest.raises(Refused, match=reason):
        forward(directory, ANNA, to)


def test_two_mailboxes_do_not_forward_to_each_other_nor_does_an_alias_close_the_circle(
    directory: Directory,
) -> None:
    directory.mailbox("chihiro@example.org")
    directory.alias("team@example.org", BERT)
    forward(directory, ANNA, "team@example.org")
    with pytest.raises(Refused, match="go round forever"):
        forward(directory, BERT, ANNA)
    with pytest.raises(Refused, match="go round forever"):
        directory.alias("team@example.org", ANNA)
    assert forward(directory, "chihiro@example.org", ANNA)


def test_a_forward_ends_with_the_address_that_it_leads_to(directory: Directory) -> None:
    (alias,) = directory.alias("team@example.org", BERT)
    forward(directory, ANNA, "bert+x@example.org team@example.org")
    aliases.delete_alias(directory.session, directory.actor, alias.id)
    anna, bert = (directory.session.query(Mailbox).filter_by(email=each).one() for each in (ANNA, BERT))
    assert mail_rules.rules_of(directory.session, anna).forward_to == "bert+x@example.org"
    removal.delete_mailbox(directory.session, directory.actor, bert.id)
    assert mail_rules.rules_of(directory.session, anna).script is None


@pytest.fixture
def owner(app: Flask, web_database: Database, actor: Actor, hasher: Hasher) -> Browser:
    """A browser in which Anna is logged in."""
    with web_database.transaction() as session:
        made = Directory(session, actor, hasher)
        made.domain("example.org")
        made.mailbox(ANNA)
        made.mailbox(BERT)
    browser = Browser(app, ACCOUNT_SITE)
    assert browser.log_in(ANNA, PASSWORD).status_code == 303
    browser.get("/account/mail")
    return browser


def test_the_reply_knows_every_alias_of_the_mailbox_as_soon_as_there_is_one(
    owner: Browser, web_database: Database, actor: Actor, hasher: Hasher
) -> None:
    owner.post("/account/mail/reply", on="yes", text="Away", days="7")

    def known() -> list[str]:
        with web_database.transaction() as session:
            script = session.query(MailRules).one().script or ""
        return re.findall(r"[\w.]+@[\w.]+", script.partition(":addresses")[2])

    assert known() == [ANNA]
    with web_database.transaction() as session:
        aliases.add_alias(session, actor, "sales@example.org", ANNA)
        aliases.add_alias(session, actor, "info@example.org", f"sales@example.org {BERT}")
        aliases.add_alias(session, actor, "@example.org", ANNA)
    assert known() == [ANNA, "info@example.org", "sales@example.org"]
    with web_database.transaction() as session:
        row = session.query(Alias).filter_by(source="sales@example.org").one()
        aliases.set_alias_active(session, actor, row.id, False)
    assert known() == [ANNA]
    file = f"address,destinations\nimported@example.org,{ANNA}\n".encode()
    transfer.import_table(web_database, hasher, actor, file, dry_run=False)
    assert known() == [ANNA, "imported@example.org"]


def test_a_mailbox_that_is_enabled_again_replies_for_its_aliases_again(
    owner: Browser, web_database: Database, actor: Actor
) -> None:
    owner.post("/account/mail/reply", on="yes", text="Away", days="7")
    with web_database.transaction() as session:
        aliases.add_alias(session, actor, "sales@example.org", ANNA)
        anna = session.query(Mailbox).filter_by(email=ANNA).one()
        mailboxes.set_mailbox_active(session, actor, anna.id, False)
    with web_database.transaction() as session:
        aliases.add_alias(session, actor, "other@example.org", BERT)
    with web_database.transaction() as session:
        mailboxes.set_mailbox_active(session, actor, anna.id, True)
    with web_database.transaction() as session:
        assert "sales@example.org" in (session.query(MailRules).one().script or "")


def test_the_page_shows_what_was_saved_and_what_was_refused(owner: Browser) -> None:
    owner.post("/display", timezone="America/New_York")
    fields = {"on": "yes", "subject": "Away", "text": "<b>\n“Back soon”", "days": "3"}
    days = {"from": "2026-12-24", "until": "2026-12-26"}
    assert owner.post("/account/mail/reply", **fields, **days).status_code == 303
    page = owner.get("/account/mail").text
    for shown in ("&lt;b&gt;\n“Back soon”", 'value="2026-12-24"', 'value="2026-12-26"', 'value="3"'):
        assert shown in page, shown
    answer = owner.post("/account/mail/forwarding", forward_to="no-such@example.org")
    assert answer.status_code == 422 and "no-such@example.org" in answer.text
    assert "neither a mailbox nor an alias" in answer.text


def test_an_admin_has_no_mail_to_forward(browser: Browser) -> None:
    assert browser.get("/account/mail").status_code == 403
    assert browser.post("/account/mail/forwarding", forward_to=ANNA).status_code == 403
