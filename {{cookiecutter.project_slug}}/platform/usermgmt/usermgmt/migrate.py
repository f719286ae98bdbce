"""`python -m usermgmt.migrate`: bring the database to the newest schema. Run it as the owner account."""

from __future__ import annotations

import sys
from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import URL
from sqlalchemy.exc import SQLAlchemyError

from usermgmt.settings import SettingsError

ALEMBIC_INI = Path(__file__).resolve().parent.parent / "alembic.ini"


def alembic_config(url: URL | str | None = None) -> Config:
    """Alembic's configuration; `url` takes the place of the environment's database."""
    config = Config(ALEMBIC_INI)
    config.attributes["url"] = url
    return config


def upgrade(url: URL | str | None = None, revision: str = "head") -> None:
    """Migrate up to `revision`; raises SettingsError or SQLAlchemyError and leaves a clear state."""
    command.upgrade(alembic_config(url), revision)


def downgrade(url: URL | str | None, revision: str) -> None:
    """Go back to `revision`; what only newer revisions hold is lost. Raises as upgrade does."""
    command.downgrade(alembic_config(url), revision)


def main() -> int:
    """Exit status 0 when the schema is the newest, 1 when the database refused, 2 on wrong settings."""
    try:
        upgrade()
    except SettingsError as error:
        print(f"usermgmt.migrate: {error}", file=sys.stderr)
        return 2
    except (SQLAlchemyError, RuntimeError) as error:
        print(f"usermgmt.migrate: the database refused: {error}", file=sys.stderr)
        return 1
    print("usermgmt.migrate: the schema is up to date")
    return 0


if __name__ == "__main__":
    sys.exit(main())
