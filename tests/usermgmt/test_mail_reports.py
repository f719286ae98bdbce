"""Refused and junked mail: what rspamd reports, who sees it, and what is moved."""

from __future__ import annotations

import hashlib
import ssl
import time
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select
from support import ACCOUNT_SITE, PROXY, Browser, Directory, MakeApp
from test_api import Program, token

from usermgmt.database import Database
from usermgmt.mail.doveadm import Doveadm, Unreachable
from usermgmt.mail.imap import Imap, Wanted
from usermgmt.models import AppPassword, AuditEntry, MailReport, utc_now
from usermgmt.parts import EXTENSION
from usermgmt.passwords import Hasher
from usermgmt.services import mail_reports
from usermgmt.services.audit import COMMAND_LINE
from usermgmt.settings import Settings

FILTER = "192.0.2.2"
PASSWORD = "correct horse battery"
KEY = "0123456789abcdef" * 4
ANNA, BERT = "anna@example.org", "bert@example.org"


def report(number: int = 1, **changes: Any) -> dict[str, Any]:
    """What rspamd sends about one mail."""
    usual = {
        "report": f"{number:032x}",
        "at": time.time(),
        "action": "add header",
        "score": 7.5,
        "threshold": 6,
        "sender": "writer@sender.example",
        "envelope_sender": "bounce@sender.example",
        "recipients": [ANNA],
        "subject": f"Mail {number}",
        "size": 1234,
        "header": "X-Mailserver-Delivery",
        "key": KEY,
        "reasons": [
            {"name": "MISSING_DATE", "score": 1, "text": "Date header is missing"},
            {"name": "ODD_SYMBOL", "score": 6.5, "text": "Something odd"},
            {"name": "RCPT_COUNT_ONE", "score": 0, "text": "One recipient"},
        ],
    }
    return {**usual, **changes}


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """With a filter whose address is known, and a Dovecot."""
    return replace(
        settings, filter_host=FILTER, doveadm=Doveadm("dovecot", "k", ssl.create_default_context())
    )


@pytest.fixture
def mailboxes(mailboxes: Database, hasher: Hasher, monkeypatch: pytest.MonkeyPatch) -> Database:
    """With an alias to both; Dovecot is not asked to end sessions."""
    monkeypatch.setattr(Doveadm, "kick", lambda self, users: None)
    with mailboxes.transaction() as session:
        Directory(session, COMMAND_LINE, hasher).alias("team@example.org", f"{ANNA} {BERT}")
    return mailboxes


def send(app: Flask, *reports: Any, peer: str = FILTER, **headers: str) -> int:
    """Reports as rspamd sends them; the status of the answer."""
    answer = app.test_client().post(
        "/internal/mail-reports",
        json=list(reports),
        headers={"Host": "127.0.0.1", **headers},
        environ_overrides={"REMOTE_ADDR": peer},
    )
    return answer.status_code


def rows(database: Database) -> list[MailReport]:
    """Everything that is kept."""
    with database.transaction() as session:
        return list(session.scalars(select(MailReport).order_by(MailReport.id)))


def reader(app: Flask, address: str) -> Browser:
    """A browser of the owner of a mailbox."""
    browser = Browser(app, ACCOUNT_SITE)
    assert browser.log_in(address, PASSWORD).status_code == 303
    return browser


def test_only_the_filter_itself_reports_mail(app: Flask, mailboxes: Database) -> None:
    assert send(app, report(), peer="192.0.2.99") == 404
    assert send(app, report(), peer=PROXY, **{"X-Forwarded-For": FILTER}) == 404
    assert not rows(mailboxes)
    assert send(app, report()) == 204
    assert len(rows(mailboxes)) == 1


def test_a_report_that_comes_again_or_is_none_changes_nothing(app: Flask, mailboxes: Database) -> None:
    wrong = ("text", {}, report(2, score="high"), report(3, recipients=None), report(4, reasons=[{}]))
    assert send(app, report(), *wrong, report(), report(5, recipients=["x@unknown.example"])) == 204
    assert [row.subject for row in rows(mailboxes)] == ["Mail 1"]
    with app.test_client() as client:
        peer = {"REMOTE_ADDR": FILTER}
        answer = client.post("/internal/mail-reports", data=b"\xff{", environ_overrides=peer)
        assert answer.status_code == 400


def test_mail_to_an_alias_is_seen_by_each_of_its_mailboxes_and_by_nobody_else(
    app: Flask, mailboxes: Database
) -> None:
    send(app, report(1, recipients=["Team@example.org"], subject="To all"))
    send(app, report(2, recipients=["anna+shop@example.org"], subject="For anna alone"))
    anna, bert = reader(app, ANNA), reader(app, BERT)
    assert "To all" in anna.get("/mail").text and "For anna alone" in anna.get("/mail").text
    assert "To all" in bert.get("/mail").text and "For anna alone" not in bert.get("/mail").text
    assert bert.get(f"/mail/{rows(mailboxes)[-1].id}").status_code == 404


def test_what_is_sent_is_seen_by_the_sender_and_by_a_reader_here(app: Flask, mailboxes: Database) -> None:
    send(app, report(1, user=ANNA, recipients=[BERT, "far@away.example"], action="add header"))
    assert [(row.recipient, row.outbound, row.outcome) for row in rows(mailboxes)] == [
        (BERT, True, "accepted"),
        (BERT, False, "accepted"),
        ("far@away.example", True, "accepted"),
    ]


def test_the_list_is_filtered_by_address_and_outcome_and_has_pages(app: Flask, mailboxes: Database) -> None:
    now = time.time()
    actions = {"reject": "Refused one", "soft reject": "Deferred one", "no action": "Good one"}
    for number, (action, subject) in enumerate(actions.items()):
        send(app, report(100 + number, action=action, subject=subject, at=now, sender=f"w{number}@x.example"))
    send(app, *(report(number, at=now - number) for number in range(1, 56)))
    browser = reader(app, ANNA)
    first = browser.get("/mail").text
    assert "Refused one" in first and "Deferred one" in first and "Good one" not in first
    assert "page=2" in first and ">Mail 40<" in first and ">Mail 55<" not in first
    second = browser.get("/mail?page=2").text
    assert ">Mail 55<" in second and "page=3" not in second
    assert "Good one" in browser.get("/mail?outcome=all").text
    only = browser.get("/mail?outcome=refused").text
    assert "Refused one" in only and "Mail 1" not in only
    found = browser.get("/mail?outcome=all&q=w2@X.example").text
    assert "Good one" in found and "Refused one" not in found
    assert "Nothing matches" in browser.get("/mail?q=%25").text


def test_reasons_are_told_in_words_and_unknown_ones_in_those_of_rspamd(
    app: Flask, mailboxes: Database
) -> None:
    send(app, report())
    page = reader(app, ANNA).get(f"/mail/{rows(mailboxes)[0].id}").text
    assert "It has no date." in page and "Something odd" in page and "RCPT_COUNT_ONE" not in page
    assert "7.5; from 6 on" in page and page.index("ODD_SYMBOL") < page.index("MISSING_DATE")


def test_a_refused_mail_cannot_be_released_and_the_page_says_what_to_do(
    app: Flask, mailboxes: Database
) -> None:
    virus = {"name": "CLAM_VIRUS", "score": 0, "text": "Eicar-Signature"}
    send(app, report(action="reject", score=15, threshold=15, reasons=[virus]))
    number = rows(mailboxes)[0].id
    browser = reader(app, ANNA)
    page = browser.get(f"/mail/{number}").text
    assert "It carries a virus." in page and "Eicar-Signature" in page and "never stored" in page
    assert f"/mail/{number}/move" not in page
    assert browser.post(f"/mail/{number}/move", target="inbox").status_code == 422


@pytest.mark.parametrize("language", ["en", "ja"])
def test_nothing_of_a_mail_becomes_a_part_of_the_page(app: Flask, mailboxes: Database, language: str) -> None:
    evil = "<script>alert('x')</script>\u202e{0}\x00\ud800\r\nX: y"
    symbol = [{"name": evil, "score": 1, "text": evil}, {"name": "Y" + evil, "score": 1}]
    send(app, report(subject=evil, sender=evil, reasons=symbol, recipients=[ANNA]))
    browser = reader(app, ANNA)
    browser.headers = {"Accept-Language": language}
    for path in ("/mail", f"/mail/{rows(mailboxes)[0].id}"):
        answer = browser.get(path)
        assert answer.status_code == 200 and "<script>" not in answer.text
        assert "&lt;script&gt;" in answer.text and "\u202e" not in answer.text


def test_reports_are_forgotten_after_two_weeks(app: Flask, mailboxes: Database) -> None:
    old = (utc_now() - mail_reports.KEEP - timedelta(hours=1)).timestamp()
    send(app, report(1, at=old), report(2))
    send(app, report(3))
    assert [row.subject for row in rows(mailboxes)] == ["Mail 2", "Mail 3"]


class Moves:
    """Dovecot's part: remembers what it was asked, and whether the password was a valid one then."""

    def __init__(self, database: Database, answer: bool | Exception) -> None:
        self.database, self.answer = database, answer
        self.asked: list[tuple[str, Wanted, str, bool]] = []

    def move(self, imap: Imap, wanted: Wanted, target: str) -> bool:
        """As Imap.move."""
        digest = hashlib.sha256(imap.password.encode()).hexdigest()
        with self.database.transaction() as session:
            valid = (
                session.scalar(select(AppPassword.id).where(AppPassword.password_hash == digest)) is not None
            )
        self.asked.append((imap.address, wanted, target, valid))
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


@pytest.mark.parametrize("by", [ANNA, "an owner"])
def test_junk_is_moved_out_and_back_with_a_password_for_each_move(
    app: Flask, mailboxes: Database, monkeypatch: pytest.MonkeyPatch, by: str
) -> None:
    moves = Moves(mailboxes, True)
    monkeypatch.setattr(Imap, "move", lambda self, wanted, target: moves.move(self, wanted, target))
    send(app, report())
    if by == ANNA:
        browser = reader(app, ANNA)
    else:
        browser = Browser(app)
        browser.log_in()
    path = f"/mail/{rows(mailboxes)[0].id}"
    assert "Not spam" in browser.get(path).text
    assert browser.post(f"{path}/move", target="inbox").status_code == 303
    assert "moved to the inbox" in browser.get("/mail").text
    assert "Spam: move to Junk" in browser.get(path).text
    assert browser.post(f"{path}/move", target="inbox").status_code == 422, "it is there already"
    assert browser.post(f"{path}/move", target="junk").status_code == 303
    assert [(to, wanted.header, wanted.text, target, ok) for to, wanted, target, ok in moves.asked] == [
        (ANNA, "X-Mailserver-Delivery", KEY, "inbox", True),
        (ANNA, "X-Mailserver-Delivery", KEY, "junk", True),
    ]
    with mailboxes.transaction() as session:
        assert not list(session.scalars(select(AppPassword))), "no password is left"
        done = [row.action for row in session.scalars(select(AuditEntry)) if row.subject == ANNA]
    assert done[-2:] == ["mail.release", "mail.junk"]


@pytest.mark.parametrize(
    ("answer", "status", "text"),
    [(False, 422, "no longer where"), (Unreachable("down"), 503, "do not answer")],
    ids=["it is gone", "Dovecot is down"],
)
def test_a_move_that_fails_is_told_and_leaves_no_password(
    app: Flask,
    mailboxes: Database,
    monkeypatch: pytest.MonkeyPatch,
    answer: bool | Exception,
    status: int,
    text: str,
) -> None:
    moves = Moves(mailboxes, answer)
    monkeypatch.setattr(Imap, "move", lambda self, wanted, target: moves.move(self, wanted, target))
    send(app, report())
    browser, path = reader(app, ANNA), f"/mail/{rows(mailboxes)[0].id}"
    browser.get(path)
    page = browser.post(f"{path}/move", target="inbox")
    assert page.status_code == status and text in page.text
    assert not rows(mailboxes)[0].moved_to
    with mailboxes.transaction() as session:
        assert not list(session.scalars(select(AppPassword)))


def test_a_program_reads_why_and_moves_junk_out_and_back(
    app: Flask, mailboxes: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    moves = Moves(mailboxes, True)
    monkeypatch.setattr(Imap, "move", lambda self, wanted, target: moves.move(self, wanted, target))
    send(app, report(), report(2, action="no action", sender="friend@x.example"))
    call = Program(app, token(mailboxes))
    (junk,) = call("GET", "/mail").json["items"]
    assert (junk["outcome"], junk["folder"], junk["subject"]) == ("junk", "junk", "Mail 1")
    assert junk["reasons"][1] == {
        "symbol": "MISSING_DATE",
        "points": 1.0,
        "words": "It has no date.",
        "detail": "Date header is missing",
    }
    assert [each["sender"] for each in call("GET", "/mail?outcome=all&q=friend@").json["items"]] == [
        "friend@x.example"
    ]
    path = f"/mail/{junk['id']}"
    assert call("POST", f"{path}/spam").status_code == 422, "it is there already"
    assert call("POST", f"{path}/not-spam").json["folder"] == "inbox"
    assert call("POST", f"{path}/spam").json["folder"] == "junk"
    assert [target for _, _, target, _ in moves.asked] == ["inbox", "junk"]
    moves.answer = Unreachable("down")
    answer = call("POST", f"{path}/not-spam")
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "10")


def test_without_a_key_no_mail_is_moved(app: Flask, mailboxes: Database) -> None:
    send(app, report(key="id "))
    browser, path = reader(app, ANNA), f"/mail/{rows(mailboxes)[0].id}"
    assert "Not spam" not in browser.get(path).text
    assert browser.post(f"{path}/move", target="inbox").status_code == 422


def test_a_dovecot_that_is_down_is_unreachable(make_app: MakeApp, settings: Settings) -> None:
    assert make_app(settings).extensions[EXTENSION].settings.doveadm is not None
    lost = Imap("127.0.0.1", ssl.create_default_context(), ANNA, "x")
    with pytest.raises(Unreachable):
        lost.move(Wanted("Received", "id 4abcdefghijk", utc_now()), "inbox")
