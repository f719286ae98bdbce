"""What the tests share: a database in memory for speed, a real MariaDB where its behaviour matters."""

from __future__ import annotations

import sqlite3
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path
from wsgiref.simple_server import WSGIRequestHandler, make_server

import pytest
from flask import Flask
from hypothesis import HealthCheck
from hypothesis import settings as examples
from jinja2.bccache import Bucket, BytecodeCache
from radicale.app import Application
from radicale.config import load
from sqlalchemy import Engine, select, text
from sqlalchemy.orm import Session
from support import (
    ACCOUNT_SITE,
    ADMIN_EMAIL,
    ADMIN_PASSWORD,
    ADMIN_SITE,
    PASSWORD,
    PROXY,
    Browser,
    Directory,
    MakeApp,
    Server,
    mariadb_server,
)

from usermgmt.app import create_app
from usermgmt.database import Database, make_engine
from usermgmt.mail import radicale
from usermgmt.mail.usage import Usage
from usermgmt.models import AuditEntry, Base
from usermgmt.parts import EXTENSION
from usermgmt.passwords import Hasher
from usermgmt.services.admins import create_first_admin
from usermgmt.services.audit import COMMAND_LINE, Actor
from usermgmt.settings import Settings

RADICALE = Path(__file__).parents[2] / "{{cookiecutter.project_slug}}/config/radicale/config"
# A machine that is busy with other tests is slow, and nothing is wrong with that. The examples are the same
# in every run: what fails in CI fails here.
examples.register_profile(
    "busy", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
examples.load_profile("busy")


USUAL = Settings(
    database_url="sqlite://",
    session_key="k" * 64,
    account_host=ACCOUNT_SITE,
    admin_host=ADMIN_SITE,
    proxy_host=PROXY,
    admin_email=ADMIN_EMAIL,
    admin_password=ADMIN_PASSWORD,
    cookie_secure=False,
    cheap_hashes=True,
    webmail_url="https://mail.example.org/",
    webmail_secret="w" * 32,
    issuer="https://account.example.org",
)


class Compiled(BytecodeCache):
    """Each page's template is compiled once, not once for each application."""

    def __init__(self) -> None:
        self.kept: dict[str, bytes] = {}

    def load_bytecode(self, bucket: Bucket) -> None:
        """Take what is there; jinja compares the checksum of the source."""
        if bucket.key in self.kept:
            bucket.bytecode_from_string(self.kept[bucket.key])

    def dump_bytecode(self, bucket: Bucket) -> None:
        """Keep it."""
        self.kept[bucket.key] = bucket.bytecode_to_string()


COMPILED = Compiled()


@cache
def schema() -> sqlite3.Connection:
    """The tables without a migration, and the mark that migrations leave."""
    database = Database("sqlite://")
    Base.metadata.create_all(database.engine)
    with database.engine.begin() as connection:
        connection.execute(text("CREATE TABLE IF NOT EXISTS alembic_version (version_num VARCHAR(32))"))
        connection.execute(text("INSERT INTO alembic_version VALUES ('0018')"))
    return database.engine.raw_connection().dbapi_connection


def make_schema(database: Database) -> None:
    """Empty tables in a database in memory."""
    schema().backup(database.engine.raw_connection().dbapi_connection)


@pytest.fixture(scope="session")
def engine() -> Engine:
    """Its database is gone whenever it is disposed of; the statements that it compiled stay."""
    return make_engine("sqlite://")


@pytest.fixture
def database(engine: Engine) -> Iterator[Database]:
    """An empty database in memory."""
    memory = Database("sqlite://")
    memory.engine = engine
    memory.sessions.configure(bind=engine)
    make_schema(memory)
    yield memory
    engine.dispose()


@pytest.fixture
def session(database: Database) -> Iterator[Session]:
    """A session whose work is thrown away."""
    with Session(database.engine, expire_on_commit=False) as open_session:
        yield open_session


@pytest.fixture(scope="session")
def hasher() -> Hasher:
    """The cheapest hashes."""
    return Hasher(cheap=True)


class Silent(WSGIRequestHandler):
    """Writes no log."""

    def log_message(self, *_: object) -> None:
        """Nothing."""


@pytest.fixture
def dav_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """The port of a Radicale with the template's own settings, which holds nothing yet."""
    settings = load([(str(RADICALE), False)])
    settings.update({"storage": {"filesystem_folder": str(tmp_path / "dav")}}, "tests", privileged=True)
    with make_server("127.0.0.1", 0, Application(settings), handler_class=Silent) as http:
        threading.Thread(target=http.serve_forever, args=(0.01,), daemon=True).start()
        monkeypatch.setattr(radicale, "PORT", http.server_port)
        yield http.server_port
        http.shutdown()


@pytest.fixture
def actor() -> Actor:
    """Somebody who acts."""
    return Actor(ADMIN_EMAIL, "192.0.2.1")


@pytest.fixture
def settings() -> Settings:
    """Settings of a fresh installation."""
    return USUAL


@pytest.fixture
def make_app() -> Iterator[MakeApp]:
    """Applications with settings of one's own; their connections are closed at the end."""
    made = []

    def make(settings: Settings) -> Flask:
        made.append(create_app(settings))
        made[-1].jinja_env.bytecode_cache = COMPILED
        return made[-1]

    yield make
    for application in made:
        application.extensions[EXTENSION].database.engine.dispose()


@pytest.fixture(scope="session")
def usual_app() -> Flask:
    """To build one takes longer than most tests."""
    application = create_app(USUAL)
    application.jinja_env.bytecode_cache = COMPILED
    return application


@pytest.fixture
def app(make_app: MakeApp, settings: Settings, request: pytest.FixtureRequest) -> Iterator[Flask]:
    """The application with its schema and first admin: one of its own for settings of one's own."""
    if settings != USUAL:
        application = make_app(settings)
        make_schema(application.extensions[EXTENSION].database)
        yield application
        return
    application = request.getfixturevalue("usual_app")
    config, parts = dict(application.config), application.extensions[EXTENSION]
    # Nothing of the test before: another database, nothing remembered of Dovecot, the settings as they were.
    make_schema(parts.database)
    application.extensions[EXTENSION] = replace(parts, usage=Usage(USUAL.doveadm))
    create_first_admin(parts.database, parts.hasher, USUAL.admin_email, USUAL.admin_password)
    yield application
    application.config.clear()
    application.config.update(config)
    parts.database.engine.dispose()


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
def mailboxes(app: Flask, web_database: Database, hasher: Hasher) -> Database:
    """example.org with anna and bert."""
    Browser(app).get("/login")
    with web_database.transaction() as session:
        directory = Directory(session, COMMAND_LINE, hasher)
        directory.domain("example.org")
        for name in ("anna", "bert"):
            directory.mailbox(f"{name}@example.org", password=PASSWORD)
    return web_database


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
