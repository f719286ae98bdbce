"""Which sessions end with which change: what is watched are the rows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

import pytest
from sqlalchemy.orm import Session

from usermgmt.database import Database
from usermgmt.mail.sessions import end_sessions
from usermgmt.models import AppPassword, Domain, Mailbox

EMAIL = "anna@example.org"


@dataclass
class Told:
    """Stands in Dovecot's place, and keeps whose sessions were to end."""

    users: list[str] = field(default_factory=list)

    def kick(self, users: set[str]) -> None:
        self.users += sorted(users)


@pytest.fixture
def told(database: Database) -> Told:
    """Watched from after anna is there, with an app password."""
    with database.transaction() as session:
        session.add(Domain(id=1, name="example.org"))
        session.add(Mailbox(id=1, domain_id=1, email=EMAIL, password_hash="x", quota_bytes=1))
        session.add(AppPassword(id=1, mailbox_id=1, name="phone", password_hash="0" * 64))
    told = Told()
    end_sessions(database.sessions, told)  # type: ignore[arg-type]
    return told


def set_to(table: type, name: str, value: object) -> Callable[[Session], None]:
    """A change of one column of the first row."""
    return lambda session: setattr(session.get(table, 1), name, value)


@pytest.mark.parametrize(
    ("change", "users"),
    [
        (set_to(Mailbox, "password_hash", "y"), [EMAIL]),
        (set_to(Mailbox, "active", False), [EMAIL]),
        (set_to(Mailbox, "deleted_at", datetime(2026, 1, 1)), [EMAIL]),
        (set_to(Mailbox, "two_factor", True), [EMAIL]),
        (set_to(Domain, "active", False), ["*@example.org"]),
        (lambda session: session.delete(session.get(AppPassword, 1)), [EMAIL]),
        (set_to(Mailbox, "quota_bytes", 2), []),
        (set_to(Mailbox, "password_hash", "x"), []),
    ],
)
def test_a_change_of_what_a_session_was_opened_with_ends_it(
    database: Database, told: Told, change: Callable[[Session], None], users: list[str]
) -> None:
    with database.transaction() as session:
        change(session)
        assert told.users == []
    assert told.users == users


def test_a_change_that_is_rolled_back_ends_nothing(database: Database, told: Told) -> None:
    with pytest.raises(ZeroDivisionError), database.transaction() as session:
        set_to(Mailbox, "active", False)(session)
        session.flush()
        raise ZeroDivisionError
    with database.transaction() as session:
        set_to(Mailbox, "quota_bytes", 3)(session)
    assert told.users == []
