"""Alembic's entry: online against the database of the environment, offline (`--sql`) without any."""

import os

from alembic import context
from sqlalchemy import create_engine, text

from usermgmt.models import Base
from usermgmt.settings import database_url

LOCK_NAME = "usermgmt_migrations"
LOCK_SECONDS = 60


def run_offline() -> None:
    """Write the SQL of the migrations; needs no database and no password."""
    context.configure(dialect_name="mariadb", target_metadata=Base.metadata, literal_binds=True)
    with context.begin_transaction():
        context.run_migrations()


def run_online() -> None:
    """Migrate the database; a second migration that starts meanwhile waits for the first."""
    url = context.config.attributes.get("url") or database_url(os.environ)
    engine = create_engine(url)
    with engine.connect() as connection:
        if connection.scalar(text("SELECT GET_LOCK(:name, :seconds)"), LOCK) != 1:
            raise RuntimeError(f"another migration has been running for {LOCK_SECONDS} s; try again later")
        try:
            context.configure(connection=connection, target_metadata=Base.metadata)
            with context.begin_transaction():
                context.run_migrations()
            connection.commit()
        finally:
            connection.scalar(text("SELECT RELEASE_LOCK(:name)"), {"name": LOCK_NAME})
    engine.dispose()


LOCK = {"name": LOCK_NAME, "seconds": LOCK_SECONDS}

if context.is_offline_mode():
    run_offline()
else:
    run_online()
