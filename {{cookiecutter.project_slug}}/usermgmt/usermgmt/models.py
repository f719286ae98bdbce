"""The tables of database `mailserver`. Times are UTC, addresses and names are stored lower-case."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    DateTime,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    UniqueConstraint,
    true,
)
from sqlalchemy.dialects.mysql import DATETIME, VARCHAR
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship
from sqlalchemy.types import JSON

# Names of constraints are fixed so that later migrations can refer to them.
NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_name)s",
    "uq": "uq_%(table_name)s_%(column_0_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s",
}
TABLE_OPTIONS = {"mysql_engine": "InnoDB", "mysql_charset": "utf8mb4", "mariadb_charset": "utf8mb4"}


def address_column(length: int) -> String:
    """A text type compared byte by byte: the default collation would take `ü` for `u`."""
    exact = VARCHAR(length, charset="utf8mb4", collation="utf8mb4_bin")
    return String(length).with_variant(exact, "mysql", "mariadb")


def utc_now() -> datetime:
    """The time now in UTC without a zone, as the database keeps it."""
    return datetime.now(UTC).replace(tzinfo=None)


MOMENT = DateTime().with_variant(DATETIME(fsp=6), "mysql", "mariadb")
ROW_ID = BigInteger().with_variant(Integer, "sqlite")


class Base(DeclarativeBase):
    """The parent of all tables."""

    metadata = MetaData(naming_convention=NAMING)


class Domain(Base):
    """A domain whose mail this server accepts."""

    __tablename__ = "domains"
    __table_args__ = TABLE_OPTIONS

    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    name: Mapped[str] = mapped_column(address_column(253), unique=True)
    active: Mapped[bool] = mapped_column(Boolean, default=True, server_default=true())
    created_at: Mapped[datetime] = mapped_column(MOMENT, default=utc_now)


class Mailbox(Base):
    """An account that receives mail and may log in. `quota_bytes` limits what it stores."""

    __tablename__ = "mailboxes"
    __table_args__ = (CheckConstraint("quota_bytes > 0", name="quota_positive"), TABLE_OPTIONS)

    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    domain_id: Mapped[int] = mapped_column(ForeignKey("domains.id"), index=True)
    email: Mapped[str] = mapped_column(address_column(320), unique=True)
    password_hash: Mapped[str] = mapped_column(String(255))
    display_name: Mapped[str] = mapped_column(String(255), default="", server_default="")
    quota_bytes: Mapped[int] = mapped_column(BigInteger)
    active: Mapped[bool] = mapped_column(Boolean, default=True, server_default=true())
    created_at: Mapped[datetime] = mapped_column(MOMENT, default=utc_now)
    updated_at: Mapped[datetime] = mapped_column(MOMENT, default=utc_now, onupdate=utc_now)

    domain: Mapped[Domain] = relationship()


class Alias(Base):
    """One destination of an alias. `source` `@domain` takes what no mailbox and no alias takes."""

    __tablename__ = "aliases"
    __table_args__ = (UniqueConstraint("source", "destination"), TABLE_OPTIONS)

    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    domain_id: Mapped[int] = mapped_column(ForeignKey("domains.id"), index=True)
    source: Mapped[str] = mapped_column(address_column(320))
    destination: Mapped[str] = mapped_column(address_column(320), index=True)
    active: Mapped[bool] = mapped_column(Boolean, default=True, server_default=true())
    created_at: Mapped[datetime] = mapped_column(MOMENT, default=utc_now)

    domain: Mapped[Domain] = relationship()


class Admin(Base):
    """A person who may log in to this application. Not a mailbox."""

    __tablename__ = "admins"
    __table_args__ = TABLE_OPTIONS

    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    email: Mapped[str] = mapped_column(address_column(320), unique=True)
    password_hash: Mapped[str] = mapped_column(String(255))
    active: Mapped[bool] = mapped_column(Boolean, default=True, server_default=true())
    created_at: Mapped[datetime] = mapped_column(MOMENT, default=utc_now)


class AuditEntry(Base):
    """Who did what to which subject, and when. The application may add rows, never change them."""

    __tablename__ = "audit_log"
    __table_args__ = (
        Index("ix_audit_log_subject_action_at", "subject", "action", "at"),
        Index("ix_audit_log_client_address_action_at", "client_address", "action", "at"),
        TABLE_OPTIONS,
    )

    id: Mapped[int] = mapped_column(ROW_ID, primary_key=True)
    at: Mapped[datetime] = mapped_column(MOMENT, default=utc_now)
    actor: Mapped[str] = mapped_column(address_column(320))
    action: Mapped[str] = mapped_column(String(64))
    subject: Mapped[str] = mapped_column(address_column(320))
    detail: Mapped[dict[str, Any]] = mapped_column(JSON, default=dict)
    client_address: Mapped[str] = mapped_column(String(45), default="", server_default="")
