"""The connection to MariaDB and the transactions on it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import URL, Engine, create_engine, select, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session, sessionmaker
from sqlalchemy.orm.exc import StaleDataError
from sqlalchemy.pool import StaticPool

from usermgmt.models import Domain
from usermgmt.problems import CHANGED_MEANWHILE, Conflict, Problem

CONNECT_SECONDS = 3
ANSWER_SECONDS = 15


def make_engine(url: URL | str) -> Engine:
    """An engine that notices a restarted server and never waits for a dead one without end."""
    if str(url).startswith("sqlite"):
        return create_engine(url, poolclass=StaticPool, connect_args={"check_same_thread": False})
    return create_engine(
        url,
        pool_pre_ping=True,
        pool_recycle=1800,
        # An error message must not carry a password hash into the log.
        hide_parameters=True,
        # A lock on the directory is followed by reads that must see what the previous holder wrote.
        isolation_level="READ COMMITTED",
        connect_args={
            "connect_timeout": CONNECT_SECONDS,
            "read_timeout": ANSWER_SECONDS,
            "write_timeout": ANSWER_SECONDS,
        },
    )


class Database:
    """One engine and the transactions on it."""

    def __init__(self, url: URL | str) -> None:
        self.engine = make_engine(url)
        self.sessions = sessionmaker(self.engine, expire_on_commit=False)

    @contextmanager
    def transaction(self) -> Iterator[Session]:
        """A session that is committed at the end, or rolled back by any exception.

        Raises Conflict if another transaction changed one of its rows first (models with a version).
        """
        try:
            with self.sessions() as session, session.begin():
                yield session
        except StaleDataError as error:
            raise Conflict(Problem("version", "", *CHANGED_MEANWHILE)) from error

    def is_ready(self) -> bool:
        """Whether the database answers and its schema is there."""
        return not self.hindrance()

    def hindrance(self) -> str:
        """Why the database cannot be used now, in its own words; empty if it can."""
        try:
            with self.engine.connect() as connection:
                version = connection.scalar(text("SELECT version_num FROM alembic_version"))
        except DBAPIError as error:
            return str(error.orig)
        return "" if version is not None else "the schema has no version"


def lock_directory(session: Session) -> None:
    """Let only one change of addresses happen at a time.

    Mailboxes and aliases share one name space over two tables, which no unique index can guard.
    """
    session.execute(select(Domain.id).order_by(Domain.id).with_for_update()).all()
