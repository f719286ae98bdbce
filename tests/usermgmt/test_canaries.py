"""The canaries' accounts: there for Postfix and Dovecot, shown to nobody and counted nowhere."""

from __future__ import annotations

import pytest
from flask import Flask
from sqlalchemy import select
from sqlalchemy.orm import Session
from support import Browser, Directory
from test_mail_reports import report

from usermgmt.cli_programs import ensure_domain
from usermgmt.database import Database
from usermgmt.models import MailReport
from usermgmt.passwords import Hasher
from usermgmt.services import directory as questions
from usermgmt.services import mail_reports
from usermgmt.services.audit import COMMAND_LINE

DOMAIN = "mailctl-canary.test"


@pytest.fixture
def canaries(app: Flask, web_database: Database, hasher: Hasher) -> Database:
    """example.org with anna, and what mailctl makes on the command line."""
    with Session(web_database.engine) as session, session.begin():
        directory = Directory(session, COMMAND_LINE, hasher)
        for name in ("example.org", DOMAIN, f"all.{DOMAIN}"):
            directory.domain(name)
        for email in ("anna@example.org", f"full@{DOMAIN}"):
            directory.mailbox(email)
        for source in (f"alias@{DOMAIN}", f"@all.{DOMAIN}"):
            directory.alias(source, "anna@example.org")
    return web_database


@pytest.mark.parametrize("page", ["domains", "mailboxes", "aliases", "mailboxes?q=full"])
def test_no_list_shows_them(canaries: Database, browser: Browser, page: str) -> None:
    answer = browser.get(f"/{page}")
    assert answer.status_code == 200 and DOMAIN not in answer.text


def test_they_are_not_counted(canaries: Database) -> None:
    with canaries.transaction() as session:
        found = questions.counts(session)
    assert (found["domains"], found["mailboxes"], found["aliases"]) == (1, 1, 0)


def test_nobody_administers_them(canaries: Database, browser: Browser) -> None:
    answer = browser.post("/aliases", source=f"new@{DOMAIN}", destinations="anna@example.org")
    assert "is not on this server" in answer.text


def test_their_mail_is_not_reported(canaries: Database) -> None:
    with canaries.transaction() as session:
        mail_reports.take_all(session, [report(recipients=[f"alias@{DOMAIN}", f"full@{DOMAIN}"])])
        assert session.scalars(select(MailReport)).all() == []


def test_the_program_that_makes_them_sees_them(canaries: Database) -> None:
    with Session(canaries.engine) as session, session.begin():
        assert ensure_domain(session, {"name": DOMAIN}) == ""
