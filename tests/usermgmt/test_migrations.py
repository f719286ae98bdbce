"""Migrations on a filled database: up, down, and code of the older revision on the newer schema."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from alembic import command
from sqlalchemy import Engine, MetaData, Table, create_engine, delete, insert, select, update
from sqlalchemy.exc import OperationalError
from support import Server, password_of, run_sql

from usermgmt import migrate
from usermgmt.database import Database
from usermgmt.models import OWNER, Admin, Base, DomainDns, Mailbox, PasswordLink, TotpSecret, utc_now
from usermgmt.schema_sql import schema_sql
from usermgmt.services.directory import find_domain
from usermgmt.services.mailboxes import list_mailboxes

pytestmark = pytest.mark.mariadb
ROWS: dict[str, dict[str, Any]] = {
    "domains": {"name": "example.org"},
    "mailboxes": {"email": "anna@example.org", "password_hash": "x", "quota_bytes": 1024**3, "domain_id": 0},
    "aliases": {"source": "info@example.org", "destination": "anna@example.org", "domain_id": 0},
    "admins": {"email": "root@example.org", "password_hash": "x"},
    "audit_log": {"actor": "start", "action": "admin.add", "subject": "root@example.org", "detail": "{}"},
}


def empty(engine: Engine) -> None:
    """Remove every row."""
    with engine.begin() as connection:
        for table in reversed(Base.metadata.sorted_tables):
            connection.execute(delete(table))


@pytest.fixture
def owner(mariadb: Server) -> Iterator[Engine]:
    """The account that migrates, on a database of revision 0001; the newest revision is back at the end."""
    engine = create_engine(mariadb.url("mailserver"))
    empty(engine)
    migrate.downgrade(mariadb.url("mailserver"), "0001")
    yield engine
    migrate.upgrade(mariadb.url("mailserver"))
    empty(engine)
    engine.dispose()


def old_tables(owner: Engine) -> dict[str, Table]:
    """The tables as code of revision 0001 knows them."""
    old = MetaData()
    old.reflect(owner, only=list(ROWS))
    return old.tables


def fill(engine: Engine, tables: dict[str, Table]) -> None:
    """One row in each table, with what the older code writes."""
    with engine.begin() as connection:
        number = connection.execute(insert(tables["domains"]), ROWS["domains"]).inserted_primary_key[0]
        for table in old_order(tables)[1:]:
            row = ROWS[table.name]
            connection.execute(insert(table), {**row, "domain_id": number} if "domain_id" in row else row)


def old_order(tables: dict[str, Table]) -> list[Table]:
    """Domains first: others refer to them."""
    return [tables[name] for name in ROWS]


def contents(owner: Engine, tables: dict[str, Table]) -> list[list[tuple[Any, ...]]]:
    """Every old column of every row."""
    with owner.connect() as connection:
        return [[tuple(row) for row in connection.execute(select(table))] for table in old_order(tables)]


def test_a_filled_database_goes_up_and_down_and_loses_nothing(owner: Engine, mariadb: Server) -> None:
    tables = old_tables(owner)
    fill(owner, tables)
    before = contents(owner, tables)
    migrate.upgrade(mariadb.url("mailserver"))
    assert contents(owner, tables) == before
    database = Database(mariadb.url("usermgmt"))
    with database.transaction() as session:
        assert list_mailboxes(session)[1] == 1 and find_domain(session, "example.org")
        admin, mailbox = session.scalars(select(Admin)).one(), session.scalars(select(Mailbox)).one()
        assert (admin.role, admin.version, mailbox.two_factor, mailbox.deleted_at) == (OWNER, 1, False, None)
        session.add(TotpSecret(mailbox_id=mailbox.id, secret="A" * 32))
    database.engine.dispose()
    migrate.downgrade(mariadb.url("mailserver"), "0001")
    assert contents(owner, tables) == before


def test_code_of_the_older_revision_reads_and_writes_the_newer_schema(owner: Engine, mariadb: Server) -> None:
    tables = old_tables(owner)
    migrate.upgrade(mariadb.url("mailserver"))
    application = create_engine(mariadb.url("usermgmt"))
    fill(application, tables)
    assert all(contents(application, tables))
    with application.begin() as connection:
        domain_id = connection.execute(select(tables["domains"].c.id)).scalar_one()
        look = {"domain_id": domain_id, "checked_at": utc_now(), "records": []}
        connection.execute(insert(DomainDns), look)
        for table in reversed(old_order(tables)[:-1]):
            assert connection.execute(update(table).values(active=False)).rowcount == 1
            assert connection.execute(delete(table)).rowcount == 1
    application.dispose()


def test_a_row_has_exactly_one_owner_and_goes_with_it(owner: Engine, mariadb: Server) -> None:
    tables = old_tables(owner)
    fill(owner, tables)
    migrate.upgrade(mariadb.url("mailserver"))
    database = Database(mariadb.url("usermgmt"))
    with database.transaction() as session:
        admin, mailbox = session.scalars(select(Admin)).one(), session.scalars(select(Mailbox)).one()
        session.add(PasswordLink(admin_id=admin.id, token_hash="0" * 64, expires_at=utc_now()))
    for owners in ({}, {"admin_id": admin.id, "mailbox_id": mailbox.id}):
        with pytest.raises(OperationalError, match="one_owner"), database.transaction() as session:
            session.add(PasswordLink(token_hash="1" * 64, expires_at=utc_now(), **owners))
    with database.transaction() as session:
        session.delete(session.merge(admin))
        session.flush()
        assert session.scalars(select(PasswordLink)).all() == []
    database.engine.dispose()


def test_a_restored_database_of_an_older_version_goes_up_by_the_schema_s_own_sql(
    owner: Engine, mariadb: Server
) -> None:
    """What a restore and a drill run; mailctl/tests/test_database.py says which part of the file it is."""
    tables = old_tables(owner)
    fill(owner, tables)
    before = contents(owner, tables)
    text = schema_sql()
    newer = text[text.index("-- Running upgrade 0001 -> 0002") :]
    run_sql(mariadb.socket, newer, password_of("root"), "mailserver")
    assert contents(owner, tables) == before
    with owner.connect() as connection:
        assert connection.execute(select(Base.metadata.tables["mailboxes"])).all()
    command.check(migrate.alembic_config(mariadb.url("mailserver")))
