"""What the tests share: a database in memory for speed, a real MariaDB where its behaviour matters."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask
from hypothesis import HealthCheck
from hypothesis import settings as examples
from sqlalchemy import select, text
from sqlalchemy.orm import Session
from support import (
    ACCOUNT_SITE,
    ADMIN_EMAIL,
    ADMIN_PASSWORD,
    ADMIN_SITE,
    PROXY,
    Browser,
    Directory,
    MakeApp,
    Server,
    mariadb_server,
)

from usermgmt.app import create_app
from usermgmt.database import Database
from usermgmt.models import AuditEntry, Base
from usermgmt.passwords import Hasher
from usermgmt.services.audit import Actor
from usermgmt.settings import Settings
from usermgmt.web.context import EXTENSION

# A machine that is busy with other tests is slow, and nothing is wrong with that.
examples.register_profile("busy", deadline=None, suppress_health_check=[HealthCheck.too_slow])
examples.load_profile("busy")


def make_schema(database: Database) -> None:
    """The tables without a migration, and the mark that migrations leave."""
    Base.metadata.create_all(database.engine)
    with database.engine.begin() as connection:
        connection.execute(text("CREATE TABLE IF NOT EXISTS alembic_version (version_num VARCHAR(32))"))
        connection.execute(text("INSERT INTO alembic_version VALUES ('0007')"))


@pytest.fixture
def database() -> Iterator[Database]:
    """An empty database in memory."""
    memory = Database("sqlite://")
    make_schema(memory)
    yield memory
    memory.engine.dispose()


@pytest.fixture
def session(database: Database) -> Iterator[Session]:
    """A session whose work is thrown away."""
    with Session(database.engine, expire_on_commit=False) as open_session:
        yield open_session


@pytest.fixture(scope="session")
def hasher() -> Hasher:
    """The cheapest hashes."""
    return Hasher(cheap=True)


@pytest.fixture
def actor() -> Actor:
    """Somebody who acts."""
    return Actor(ADMIN_EMAIL, "192.0.2.1")


@pytest.fixture
def settings() -> Settings:
    """Settings of a fresh installation."""
    return Settings(
        database_url="sqlite://",
        session_key="k" * 64,
        account_host=ACCOUNT_SITE,
        admin_host=ADMIN_SITE,
        proxy_host=PROXY,
        admin_email=ADMIN_EMAIL,
        admin_password=ADMIN_PASSWORD,
        cookie_secure=False,
        cheap_hashes=True,
    )


@pytest.fixture
def make_app() -> Iterator[MakeApp]:
    """Applications with settings of one's own; their connections are closed at the end."""
    made = []

    def make(settings: Settings) -> Flask:
        made.append(create_app(settings))
        return made[-1]

    yield make
    for application in made:
        application.extensions[EXTENSION].database.engine.dispose()


@pytest.fixture
def app(make_app: MakeApp, settings: Settings) -> Flask:
    """The application with its schema and first admin."""
    application = make_app(settings)
    make_schema(application.extensions[EXTENSION].database)
    return application


@pytest.fixture
def web_database(app: Flask) -> Database:
    """The database behind the application."""
    return app.extensions[EXTENSION].database


@pytest.fixture
def stranger(app: Flask) -> Browser:
    """A browser that is not logged in."""
    return Browser(app)


@pytest.fixture
def browser(app: Flask) -> Browser:
    """A browser in which an admin is logged in."""
    logged_in = Browser(app)
    assert logged_in.log_in().status_code == 303
    return logged_in


@pytest.fixture
def directory(session: Session, actor: Actor, hasher: Hasher) -> Directory:
    """example.org with the mailboxes anna and bert."""
    made = Directory(session, actor, hasher)
    made.domain("example.org")
    made.mailbox("anna@example.org")
    made.mailbox("bert@example.org")
    return made


@pytest.fixture(scope="session")
def mariadb() -> Iterator[Server]:
    """A real server; its folder has a short path because socket paths are limited."""
    with tempfile.TemporaryDirectory(prefix="um") as folder, mariadb_server(Path(folder)) as server:
        yield server


def actions(session: Session) -> list[str]:
    """The audit log in order."""
    return list(session.scalars(select(AuditEntry.action).order_by(AuditEntry.id)))
