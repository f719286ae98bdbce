"""Attacks on the pages that no other file has: SQL in what is searched for, and fields that no form has.

Elsewhere: CSRF, scripts, hosts and redirects (test_pages, test_administration), planted sessions, guessing,
time and texts that tell who exists (test_login), used codes (test_account),
two admins at once (test_mariadb).
"""

from __future__ import annotations

import pytest
from flask import Flask
from sqlalchemy import inspect, select
from support import Browser, Directory

from usermgmt.database import Database
from usermgmt.models import Admin, Alias, Domain, Mailbox
from usermgmt.passwords import Hasher
from usermgmt.services.audit import Actor

SQL = (
    "' OR '1'='1",
    "%",
    "_",
    "\\",
    "') OR 1=1 -- ",
    "x' UNION SELECT 1 FROM admins -- ",
    '"',
)
PARAMETERS = ("q", "page", "actor", "person", "action", "kind", "order", "domain", "sort", "state")


@pytest.fixture
def filled(web_database: Database, actor: Actor, hasher: Hasher, browser: Browser) -> Browser:
    """example.org with a mailbox and an alias, and an owner in the browser."""
    with web_database.transaction() as session:
        made = Directory(session, actor, hasher)
        made.domain("example.org")
        made.mailbox("anna@example.org")
        made.alias("info@example.org", "anna@example.org")
    return browser


def rows(database: Database) -> list[int]:
    """How many rows of the directory there are."""
    with database.transaction() as session:
        return [len(session.scalars(select(table)).all()) for table in (Mailbox, Alias, Domain, Admin)]


@pytest.mark.parametrize("text", SQL)
def test_sql_in_any_question_finds_nothing_and_breaks_nothing(
    filled: Browser, app: Flask, web_database: Database, text: str
) -> None:
    before = rows(web_database)
    lists = [
        rule for rule in app.url_map.iter_rules() if "GET" in (rule.methods or ()) and not rule.arguments
    ]
    for rule in lists:
        answer = filled.client.get(
            rule.rule, query_string=dict.fromkeys(PARAMETERS, text), environ_overrides=filled.environ
        )
        assert answer.status_code < 500, rule.rule
        assert "$argon2" not in answer.text, rule.rule
    for path in ("/mailboxes", "/aliases"):
        page = filled.client.get(path, query_string={"q": text}, environ_overrides=filled.environ).text
        assert "anna@example.org" not in page, f"{path} finds more than what has this text in it"
    assert rows(web_database) == before


def test_no_column_is_set_by_a_field_that_the_form_does_not_have(
    filled: Browser, web_database: Database
) -> None:
    with web_database.transaction() as session:
        mailbox = session.scalars(select(Mailbox)).one()
    columns = {column.key for column in inspect(Mailbox).columns}
    filled.get(f"/mailboxes/{mailbox.id}")
    extra = {name: "7" for name in columns if name not in ("version", "display_name")}
    path = f"/mailboxes/{mailbox.id}"
    assert filled.post(path, quota="2G", display_name="Anna", version="1", **extra).status_code == 303
    with web_database.transaction() as session:
        after = session.get_one(Mailbox, mailbox.id)
        changed = {name for name in columns if getattr(after, name) != getattr(mailbox, name)}
    assert changed == {"quota_bytes", "display_name", "version", "updated_at"}
