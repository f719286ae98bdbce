"""How full mailboxes are, on the pages: never a reason to wait or to fail. And several mailboxes at once."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import pytest
from flask import Flask
from sqlalchemy import select
from support import Browser, Directory

from usermgmt.database import Database
from usermgmt.mail.doveadm import Unreachable
from usermgmt.mail.usage import FRESH, PAUSE, Usage
from usermgmt.models import Mailbox, utc_now
from usermgmt.parts import parts
from usermgmt.passwords import Hasher
from usermgmt.quota import UNITS, format_size
from usermgmt.services.audit import Actor

ANNA, BERT = "anna@example.org", "bert@example.org"


@dataclass
class Dovecot:
    """Answers for Anna alone, or not at all; notes what it was asked, and has a clock."""

    down: bool = False
    asked: list[list[str]] = field(default_factory=list)
    clock: float = 1000

    def used_bytes(self, addresses: Iterable[str], seconds: float) -> dict[str, int]:
        """What Doveadm.used_bytes says."""
        self.asked.append(sorted(addresses))
        if self.down:
            raise Unreachable("no answer")
        return {ANNA: 300 * UNITS["M"]} if ANNA in self.asked[-1] else {}


@pytest.fixture
def dovecot() -> Dovecot:
    """One that answers."""
    return Dovecot()


@pytest.fixture
def usage(dovecot: Dovecot) -> Usage:
    """What asks it."""
    return Usage(dovecot, lambda: dovecot.clock)  # type: ignore[arg-type]


@pytest.fixture
def filled(browser: Browser, web_database: Database, actor: Actor, hasher: Hasher) -> Browser:
    """Two mailboxes, and an owner who looks at them."""
    with web_database.transaction() as session:
        made = Directory(session, actor, hasher)
        made.domain("example.org")
        made.mailbox(ANNA)
        made.mailbox(BERT)
    return browser


def test_one_call_asks_for_all_and_is_remembered_for_a_minute(usage: Usage, dovecot: Dovecot) -> None:
    for _ in range(2):
        assert usage.of([ANNA, BERT]) == {ANNA: 300 * UNITS["M"]}
    assert dovecot.asked == [[ANNA, BERT]]
    dovecot.clock += FRESH
    usage.of([ANNA])
    assert dovecot.asked[1:] == [[ANNA]]


def test_a_dovecot_that_is_down_is_left_alone_for_a_while(usage: Usage, dovecot: Dovecot) -> None:
    dovecot.down = True
    assert usage.of([ANNA]) == usage.of([BERT]) == {} and len(dovecot.asked) == 1
    dovecot.down, dovecot.clock = False, dovecot.clock + PAUSE
    assert usage.of([ANNA]) == {ANNA: 300 * UNITS["M"]}


def test_what_was_known_is_shown_no_longer_than_it_is_fresh(usage: Usage, dovecot: Dovecot) -> None:
    usage.of([ANNA])
    dovecot.down, dovecot.clock = True, dovecot.clock + FRESH
    assert usage.of([ANNA]) == {}


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0K"), (1536, "1.5K"), (UNITS["M"], "1M"), (UNITS["G"] * 5 // 4, "1.2G"), (UNITS["T"] * 3, "3T")],
)
def test_a_size_is_short(size: int, text: str) -> None:
    assert format_size(size) == text


def test_the_pages_show_usage_beside_quota_and_the_last_log_in(
    filled: Browser, app: Flask, web_database: Database, usage: Usage
) -> None:
    with app.app_context():
        object.__setattr__(parts(), "usage", usage)
    with web_database.transaction() as session:
        session.scalars(select(Mailbox).where(Mailbox.email == ANNA)).one().last_login_at = utc_now()
    for path in ("/mailboxes?q=anna", "/mailboxes/1"):
        page = filled.get(path).text
        assert "300M of 1G" in page and f"{utc_now():%Y}" in page, path
    assert "? of 1G" in filled.get("/mailboxes?q=bert").text


def test_several_mailboxes_are_disabled_enabled_and_deleted_together(
    filled: Browser, web_database: Database
) -> None:
    def states() -> list[bool]:
        with web_database.transaction() as session:
            return list(session.scalars(select(Mailbox.active)))

    both = {"selected": ["1", "2"]}
    for path, more, status, expected in (
        ("active", {"active": "no"}, 303, False),
        ("active", {"active": "yes"}, 303, True),
        ("delete", {}, 200, True),
        ("delete", {"sure": "yes"}, 303, False),
    ):
        answer = filled.post(f"/mailboxes/selected/{path}", **more, **both)  # type: ignore[arg-type]
        assert answer.status_code == status
        assert states() == [expected, expected], (path, more)
    assert "No mailbox yet." in filled.get("/mailboxes").text


def test_when_one_of_several_cannot_be_deleted_none_is(filled: Browser, web_database: Database) -> None:
    filled.post("/aliases", source="info@example.org", destinations=BERT)
    answer = filled.post("/mailboxes/selected/delete", sure="yes", selected=["1", "2"])  # type: ignore[arg-type]
    assert answer.status_code == 422 and "Aliases lead to this address" in answer.text
    with web_database.transaction() as session:
        assert list(session.scalars(select(Mailbox.deleted_at))) == [None, None]
    assert filled.post("/mailboxes/selected/delete", sure="yes").status_code == 303
