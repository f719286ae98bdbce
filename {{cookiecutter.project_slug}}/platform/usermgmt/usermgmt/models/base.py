"""What all tables share: names of constraints, types of columns, the time."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import BigInteger, DateTime, Integer, MetaData, String
from sqlalchemy.dialects.mysql import DATETIME, VARCHAR
from sqlalchemy.orm import DeclarativeBase

# Names of constraints are fixed so that later migrations can refer to them.
NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_name)s",
    "uq": "uq_%(table_name)s_%(column_0_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s",
}
TABLE_OPTIONS: dict[str, Any] = {
    "mysql_engine": "InnoDB",
    "mysql_charset": "utf8mb4",
    "mariadb_charset": "utf8mb4",
}


def address_column(length: int) -> String:
    """A text type compared byte by byte: the default collation would take `ü` for `u`."""
    exact = VARCHAR(length, charset="utf8mb4", collation="utf8mb4_bin")
    return String(length).with_variant(exact, "mysql", "mariadb")


def utc_now() -> datetime:
    """The time now in UTC without a zone, as the database keeps it."""
    return datetime.now(UTC).replace(tzinfo=None)


MOMENT = DateTime().with_variant(DATETIME(fsp=6), "mysql", "mariadb")
#: Larger numbers are not in the columns.
LARGEST_ID = 2**31 - 1
ROW_ID = BigInteger().with_variant(Integer, "sqlite")


class Base(DeclarativeBase):
    """The parent of all tables."""

    metadata = MetaData(naming_convention=NAMING)
