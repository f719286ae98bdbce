"""One's own account on a real MariaDB: what two browsers try at the same moment, and every page once."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from threading import Barrier

import pyotp
import pytest
from sqlalchemy import select
from support import ACCOUNT_SITE, ADMIN_EMAIL, ADMIN_PASSWORD, Browser, MakeApp, Server
from test_account import as_owner, later, turn_on
from test_mariadb import filled, real  # noqa: F401 - fixtures

from usermgmt.database import Database
from usermgmt.models import Admin, Mailbox
from usermgmt.passwords import Hasher
from usermgmt.problems import Refused
from usermgmt.services import admins, second_factor
from usermgmt.services.audit import COMMAND_LINE
from usermgmt.settings import Settings

pytestmark = pytest.mark.mariadb
AT_ONCE = 4


def test_a_code_that_several_browsers_send_at_once_lets_one_in(filled: Database) -> None:  # noqa: F811
    with filled.transaction() as session:
        mailbox = session.scalars(select(Mailbox)).one()
        row = second_factor.set_up(session, mailbox)
        session.flush()
        code = pyotp.TOTP(row.secret).at(int(time.time()))
    start = Barrier(AT_ONCE)

    def send(_: int) -> bool:
        start.wait()
        with filled.transaction() as session:
            return second_factor.use_code(session, row, code)

    with ThreadPoolExecutor(AT_ONCE) as pool:
        assert sorted(pool.map(send, range(AT_ONCE))) == [False] * (AT_ONCE - 1) + [True]


def test_owners_who_remove_each_other_at_once_leave_one(real: Database, hasher: Hasher) -> None:  # noqa: F811
    with real.transaction() as session:
        for name in ("a", "b"):
            admins.add_admin(session, COMMAND_LINE, hasher, f"{name}@example.org", ADMIN_PASSWORD)
        numbers = list(session.scalars(select(Admin.id)))
    start = Barrier(2)

    def remove(number: int) -> bool:
        start.wait()
        try:
            with real.transaction() as session:
                admins.remove_admin(session, COMMAND_LINE, number)
        except Refused:
            return False
        return True

    with ThreadPoolExecutor(2) as pool:
        assert sorted(pool.map(remove, numbers)) == [False, True]


def test_an_owner_of_a_mailbox_logs_in_with_a_second_factor_and_ends_other_browsers(
    filled: Database,  # noqa: F811
    mariadb: Server,
    make_app: MakeApp,
    settings: Settings,
) -> None:
    app = make_app(replace(settings, database_url=mariadb.url("usermgmt")))
    first = as_owner(app)
    totp, codes = turn_on(first)
    second = Browser(app, ACCOUNT_SITE)
    second.log_in("anna@example.org", "correct horse battery")
    second.get("/login/second")
    assert second.post("/login/second", code=later(totp)).headers["Location"] == "/account"
    assert second.get("/account").text.count("/end") == 2
    assert second.post("/account/sessions/end-others").status_code == 303
    assert first.get("/account").status_code == 302 and second.get("/account").status_code == 200
    admin = Browser(app)
    admin.log_in(ADMIN_EMAIL, ADMIN_PASSWORD)
    assert codes and admin.get("/audit?q=anna").text.count("Authenticator app added") == 2
    assert "anna@example.org" in admin.get("/audit.csv").text
