"""Log-ins of mail programs: IMAP, submission and ManageSieve share the memory of the log-in page.

Dovecot asks before it looks at a password and after a right one, and reports each result
(config/dovecot/dovecot.conf, `auth_policy`). It sends no password: `guess_hash` is 24 bits of a hash keyed
with one of its own secrets. They say no more than whether a wrong password is the same as before, so a phone
that goes on trying an old one has guessed once. Of a right password not even they are kept.

An app password is random (110 bits): a right one is always let in. A person's own password is held to the
limits of logins.py, and a held one is looked at all the same and then refused, so that the answers to a right
and to a wrong one are alike.
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from datetime import timedelta
from weakref import WeakKeyDictionary

from sqlalchemy import ColumnElement, delete, select, update
from sqlalchemy.orm import Session

from usermgmt.addresses import parse_address
from usermgmt.canaries import is_canary
from usermgmt.database import Database
from usermgmt.models import LoginAttempt, utc_now
from usermgmt.problems import Refused
from usermgmt.services.audit import normal_address
from usermgmt.services.logins import (
    PENDING,
    SUCCESS,
    WRONG,
    Throttled,
    check_throttle,
    failures,
    forget_old,
    from_client,
    is_known_client,
)

log = logging.getLogger("usermgmt.logins")

#: What Dovecot's passdb blocks call a password of one program, and a person's own.
APP, OWN = "app", "own"
#: Mechanisms whose secret is a signed token: nobody guesses those.
TOKENS = frozenset({"OAUTHBEARER", "XOAUTH2"})
#: A client that is known stays so for months; thousands of log-ins a minute shall not write as often.
REFRESH = timedelta(hours=1)
#: Of so many clients this process remembers that it noted them: what they do right asks the database nothing.
MOST_NOTED = 20_000
NOTED: WeakKeyDictionary[Database, dict[MailLogin, float]] = WeakKeyDictionary()


@dataclass(frozen=True)
class MailLogin:
    """One log-in as Dovecot describes it; `kind` is empty until a password was right."""

    account: str
    client_address: str
    via: str = ""
    guess: str = ""
    kind: str = ""
    mechanism: str = "PLAIN"

    @classmethod
    def of(cls, said: dict[str, object]) -> MailLogin:
        """From the attributes of a request; an address that is none counts as the page counts it."""
        text = {name: str(said.get(name, ""))[:320] for name in ("login", "remote", "mechanism")}
        short = {name: str(said.get(name, ""))[:8] for name in ("protocol", "pwhash", "kind")}
        try:
            account = parse_address(text["login"], "login")
        except Refused:
            account = "invalid"
        client = normal_address(text["remote"])
        return cls(account, client, short["protocol"], short["pwhash"], short["kind"], text["mechanism"])

    @property
    def exempt(self) -> bool:
        """Whether there is nothing to guess: a signed token, or a canary's random password."""
        return self.mechanism.upper() in TOKENS or is_canary(self.account)

    @property
    def client(self) -> MailLogin:
        """Who logs in from where and by what, whatever the password."""
        return MailLogin(self.account, self.client_address, self.via)

    @property
    def same(self) -> tuple[ColumnElement[bool], ...]:
        """The rows of this very guess: the same password for the same account from the same client."""
        return (
            LoginAttempt.account == self.account,
            from_client(self.client_address),
            LoginAttempt.via != "",
            LoginAttempt.guess_hash == self.guess,
        )

    def row(self, outcome: str) -> LoginAttempt:
        """A new row of it, of a right password without its hash."""
        return LoginAttempt(
            account=self.account,
            client_address=self.client_address,
            via=self.via or "mail",
            guess_hash="" if outcome == SUCCESS else self.guess,
            outcome=outcome,
        )


def noted_lately(database: Database, login: MailLogin) -> bool:
    """Whether this process has seen the client log in within REFRESH."""
    seen = NOTED.get(database, {}).get(login.client)
    return seen is not None and time.monotonic() - seen < REFRESH.total_seconds()


def note(database: Database, login: MailLogin) -> None:
    """Remember that the client's log-in is in the table."""
    clients = NOTED.setdefault(database, {})
    if len(clients) >= MOST_NOTED:
        clients.clear()
    clients[login.client] = time.monotonic()


def held(session: Session, login: MailLogin) -> bool:
    """Whether a limit is reached, this very guess not counted."""
    try:
        allowance = failures(session, *login.same)
        check_throttle(session, login.account, login.client_address, allowance=allowance)
    except Throttled:
        return True
    return False


def announce(database: Database, login: MailLogin) -> None:
    """Count a guess before its password is looked at, so that parallel ones count too.

    A client that logged in to the account before writes nothing until it was wrong; what is held back and
    what was guessed before adds no row, so floods fill nothing.
    """
    if login.exempt or noted_lately(database, login):
        return
    with database.transaction() as session:
        if is_known_client(session, login.account, login.client_address):
            return
        if failures(session, *login.same) or held(session, login):
            return
        forget_old(session)
        session.add(login.row(PENDING))


def admits(database: Database, login: MailLogin) -> bool:
    """Whether somebody whose password was right gets in."""
    if login.exempt or login.kind == APP:
        return True
    with database.transaction() as session:
        if not held(session, login):
            return True
    log.warning("a mail program's log-in to %r from %s is held", login.account, login.client_address or "-")
    return False


def report(database: Database, login: MailLogin, success: bool, why: str) -> None:
    """Note how a log-in ended; `why` is Dovecot's word for a failure."""
    if login.exempt or (success and noted_lately(database, login)):
        return
    with database.transaction() as session:
        rows = select(LoginAttempt.id).where(*login.same, LoginAttempt.outcome == PENDING)
        pending = list(session.scalars(rows))
        if success:
            remember_client(session, login)
        # An error of ours, or a right password that was held, is no guess that was wrong.
        if success or why == "internal":
            forget(session, pending)
        elif pending:
            session.execute(update(LoginAttempt).where(LoginAttempt.id.in_(pending)).values(outcome=WRONG))
        elif why != "policy" and not failures(session, *login.same) and not held(session, login):
            session.add(login.row(WRONG))
    if success:
        note(database, login)


def forget(session: Session, rows: list[int]) -> None:
    """Remove announcements that came to nothing."""
    if rows:
        session.execute(delete(LoginAttempt).where(LoginAttempt.id.in_(rows)))


def remember_client(session: Session, login: MailLogin) -> None:
    """Keep one row for each client and protocol, and write it once in REFRESH at most."""
    right = (LoginAttempt.account == login.account, LoginAttempt.outcome == SUCCESS)
    this = (*right, LoginAttempt.via == (login.via or "mail"), from_client(login.client_address))
    known = session.scalar(select(LoginAttempt).where(*this).order_by(LoginAttempt.at.desc()).limit(1))
    now = utc_now()
    if known is None:
        session.add(login.row(SUCCESS))
    elif known.at < now - REFRESH:
        known.at, known.client_address = now, login.client_address
