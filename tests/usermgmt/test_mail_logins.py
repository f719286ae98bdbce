"""Mail programs and the log-in page share one memory of wrong passwords: who is held, and who never is."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from itertools import count

import pytest
from flask import Flask
from hypothesis import settings as examples
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)
from hypothesis.strategies import booleans, integers
from sqlalchemy import delete, event, func, select, update
from support import ACCOUNT_SITE, PASSWORD, PROXY, Browser, Directory

from usermgmt.database import Database
from usermgmt.models import LoginAttempt
from usermgmt.parts import EXTENSION
from usermgmt.passwords import Hasher
from usermgmt.services import logins
from usermgmt.services.audit import COMMAND_LINE
from usermgmt.services.mail_logins import APP, NOTED, OWN, REFRESH, MailLogin, admits, announce, report
from usermgmt.settings import Settings
from usermgmt.web.mail_logins import OURS

ANNA, HOME, ELSEWHERE = "anna@example.org", "192.0.2.7", "203.0.113.9"
DOVECOT = "192.0.2.3"
GUESSES = count(1)


def login(client: str = HOME, account: str = ANNA, guess: str = "", via: str = "imap") -> MailLogin:
    """A log-in with a password of its own."""
    return MailLogin(account, client, via, guess or f"{next(GUESSES):06x}")


def gets_in(database: Database, attempt: MailLogin, kind: str = OWN) -> bool:
    """What Dovecot does with a right password."""
    announce(database, attempt)
    admitted = admits(database, replace(attempt, kind=kind))
    report(database, replace(attempt, kind=kind), admitted, "" if admitted else "policy")
    return admitted


def guess(database: Database, attempt: MailLogin) -> None:
    """What Dovecot does with a wrong one."""
    announce(database, attempt)
    report(database, attempt, False, "credentials")


def fewer_attempts(monkeypatch: pytest.MonkeyPatch, divisor: int) -> None:
    """Smaller limits for what thousands would take too long for."""
    for name in ("MOST_FOR_ACCOUNT_AT_FIRST", "MOST_FOR_ACCOUNT", "MOST_ALTOGETHER"):
        monkeypatch.setattr(logins, name, getattr(logins, name) // divisor)


def rows(database: Database) -> int:
    """How many attempts the table has."""
    with database.transaction() as session:
        return session.scalar(select(func.count()).select_from(LoginAttempt)) or 0


def test_the_sixth_password_from_one_address_is_held_even_if_it_is_right(database: Database) -> None:
    for _ in range(logins.MOST_FOR_ACCOUNT_FROM_CLIENT):
        guess(database, login(ELSEWHERE))
    assert not gets_in(database, login(ELSEWHERE))
    assert gets_in(database, login(HOME)), "another address is not held"


def test_the_fifth_password_is_still_looked_at(database: Database) -> None:
    for _ in range(logins.MOST_FOR_ACCOUNT_FROM_CLIENT - 1):
        guess(database, login(ELSEWHERE))
    assert gets_in(database, login(ELSEWHERE))


def test_parallel_guesses_count_before_their_passwords_are_looked_at(database: Database) -> None:
    for _ in range(logins.MOST_FOR_ACCOUNT_FROM_CLIENT):
        announce(database, login(ELSEWHERE))
    assert not gets_in(database, login(ELSEWHERE))


def test_six_attackers_at_many_addresses_share_one_ceiling(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of 180 passwords 20 are really tried at most; with the limits of production, 1000."""
    fewer_attempts(monkeypatch, 50)
    tried = 0
    for address in range(5):
        for attacker in range(6):
            for number in range(6):
                attempt = login(f"198.51.{attacker}.{address}", via=("imap", "smtp", "sieve")[number % 3])
                announce(database, attempt)
                tried += admits(database, replace(attempt, kind=OWN))
                report(database, attempt, False, "credentials")
    assert tried <= logins.MOST_FOR_ACCOUNT_AT_FIRST == 20
    assert not gets_in(database, login("198.51.0.1"))


def test_what_is_guessed_at_imap_counts_at_the_page_and_the_other_way_round(
    database: Database, hasher: Hasher
) -> None:
    for _ in range(logins.MOST_FOR_ACCOUNT_FROM_CLIENT):
        guess(database, login(ELSEWHERE))
    with pytest.raises(logins.Throttled):
        logins.log_in(database, hasher, "mailbox", ANNA, PASSWORD, ELSEWHERE)
    for _ in range(logins.MOST_FOR_ACCOUNT_FROM_CLIENT):
        logins.log_in(database, hasher, "mailbox", "bert@example.org", "wrong", HOME)
    assert not gets_in(database, login(HOME, "bert@example.org"))


def test_a_phone_that_goes_on_with_an_old_password_has_guessed_once(database: Database) -> None:
    for _ in range(50):
        guess(database, login(HOME, guess="00abcd"))
    assert rows(database) == 1
    assert gets_in(database, login(HOME)), "its owner, at home"


def test_a_right_app_password_is_let_in_whatever_was_tried(database: Database) -> None:
    for _ in range(logins.MOST_FOR_ACCOUNT_FROM_CLIENT):
        guess(database, login(HOME))
    assert not gets_in(database, login(HOME))
    assert gets_in(database, login(HOME), APP)


@pytest.mark.parametrize(
    "attempt",
    [login(account="reader@mailctl-canary.test"), replace(login(), mechanism="xoauth2")],
    ids=["a canary", "a token"],
)
def test_what_nobody_can_guess_is_neither_held_nor_counted(database: Database, attempt: MailLogin) -> None:
    for _ in range(30):
        guess(database, replace(attempt, guess=f"{next(GUESSES):06x}"))
    assert gets_in(database, attempt) and rows(database) == 0


def test_a_flood_of_ten_thousand_guesses_leaves_a_bounded_table(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    fewer_attempts(monkeypatch, 50)
    for number in range(10_000 // 50):
        guess(database, login(f"198.51.{number}.1", f"nobody{number}@example.org"))
    assert rows(database) == logins.MOST_ALTOGETHER


def test_right_log_ins_write_once_an_hour_and_keep_no_hash(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Thousands of them come each minute; with an app password, most ask the database nothing."""
    assert gets_in(database, login())
    with database.transaction() as session:
        first = session.scalars(select(LoginAttempt)).one()
        assert (first.outcome, first.via, first.guess_hash) == (logins.SUCCESS, "imap", "")
    statements: list[str] = []
    event.listen(database.engine, "before_cursor_execute", lambda *call: statements.append(call[2]))
    assert gets_in(database, login(), APP) and statements == []
    another_process = Database("sqlite://")
    another_process.engine, another_process.sessions = database.engine, database.sessions
    assert gets_in(another_process, login(), APP)
    assert [one for one in statements if not one.startswith("SELECT")] == []
    with database.transaction() as session:
        session.execute(update(LoginAttempt).values(at=first.at - REFRESH - timedelta(seconds=1)))
    now = time.monotonic()
    monkeypatch.setattr("usermgmt.services.mail_logins.time.monotonic", lambda: now + 3601)
    assert gets_in(database, login())
    with database.transaction() as session:
        assert session.scalars(select(LoginAttempt)).one().at >= first.at


def test_an_error_of_the_database_is_no_wrong_password(database: Database) -> None:
    attempt = login()
    announce(database, attempt)
    report(database, attempt, False, "internal")
    assert rows(database) == 0


class Strangers(RuleBasedStateMachine):
    """Whatever strangers do, from wherever and against whomever, the owner at a known address gets in."""

    new_database: Callable[[], Database]

    @initialize()
    def the_owner_is_known_at_home(self) -> None:
        self.database = type(self).new_database()
        assert gets_in(self.database, login(HOME))

    @rule(address=integers(0, 3), site=integers(0, 2), times=integers(1, 40), announced_only=booleans())
    def guess_her_password_elsewhere(self, address: int, site: int, times: int, announced_only: bool) -> None:
        for number in range(times):
            attempt = login(f"198.51.{site}.{address + number % 100}")
            (announce if announced_only else guess)(self.database, attempt)

    @rule(times=integers(logins.MOST_FROM_CLIENT, 25))
    def guess_other_accounts_from_her_address(self, times: int) -> None:
        for number in range(times):
            guess(self.database, login(HOME, f"nobody{number}@example.org"))

    @rule(times=integers(1, 25))
    def her_own_phone_repeats_an_old_password(self, times: int) -> None:
        for _ in range(times):
            guess(self.database, login(HOME, guess="00abcd"))

    @invariant()
    def she_gets_in(self) -> None:
        if hasattr(self, "database"):
            assert gets_in(self.database, login(HOME))


def test_no_sequence_of_strangers_locks_a_known_client_out(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    fewer_attempts(monkeypatch, 20)

    def empty() -> Database:
        with database.transaction() as session:
            session.execute(delete(LoginAttempt))
        NOTED.clear()
        return database

    Strangers.new_database = staticmethod(empty)
    run_state_machine_as_test(Strangers, settings=examples(max_examples=4, stateful_step_count=4))


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """With a Dovecot whose address is known."""
    return replace(settings, dovecot_host=DOVECOT)


def ask(app: Flask, command: str, peer: str = DOVECOT, **said: object) -> tuple[int, int | None]:
    """A request of Dovecot: the HTTP status, and what it answers."""
    usual = {"login": ANNA, "remote": ELSEWHERE, "protocol": "imap", "mechanism": "PLAIN", "kind": ""}
    headers = {"X-Forwarded-For": DOVECOT} if peer == PROXY else {}
    answer = app.test_client().post(
        f"/internal/log-ins?command={command}",
        json={**usual, **said},
        base_url="http://usermgmt:8080",
        headers=headers,
        environ_overrides={"REMOTE_ADDR": peer},
    )
    return answer.status_code, answer.json["status"] if answer.status_code == 200 else None


def test_dovecot_alone_is_answered(app: Flask) -> None:
    assert ask(app, "allow") == (200, 0)
    assert ask(app, "allow", peer="192.0.2.99")[0] == 404
    assert ask(app, "allow", peer=PROXY)[0] == 404


def test_a_mail_that_is_moved_here_is_nobodys_log_in(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(app.extensions, OURS, {ELSEWHERE})
    assert ask(app, "report", success=True, kind=APP) == (200, 0)
    assert rows(app.extensions[EXTENSION].database) == 0


@pytest.mark.parametrize("body", [b"", b"\xff{", b"[]", b"7"])
def test_what_is_no_request_of_dovecot_is_a_bad_request(app: Flask, body: bytes) -> None:
    answer = app.test_client().post(
        "/internal/log-ins",
        data=body,
        base_url="http://usermgmt:8080",
        environ_overrides={"REMOTE_ADDR": DOVECOT},
    )
    assert answer.status_code == 400


def test_the_account_page_says_by_what_somebody_tried_and_got_in(app: Flask, hasher: Hasher) -> None:
    with app.extensions[EXTENSION].database.transaction() as session:
        made = Directory(session, COMMAND_LINE, hasher)
        made.domain("example.org")
        made.mailbox(ANNA)
    for number in range(6):
        said = {"pwhash": f"{number:06x}", "protocol": "smtp"}
        assert ask(app, "allow", **said) == (200, 0), "no answer tells a guess from a right password"
        ask(app, "report", success=False, fail_type="credentials", **said)
    assert ask(app, "allow", kind=OWN, pwhash="ffffff") == (200, -1)
    assert ask(app, "allow", kind=APP, pwhash="ffffff") == (200, 0)
    ask(app, "report", success=True, kind=APP, pwhash="ffffff")
    anna = Browser(app, ACCOUNT_SITE)
    anna.log_in(ANNA, PASSWORD)
    page = anna.get("/account").text
    assert page.count("Mail program (sending)") == 5 and page.count("Mail program (IMAP)") == 1
    assert "This site" in page and ELSEWHERE in page
