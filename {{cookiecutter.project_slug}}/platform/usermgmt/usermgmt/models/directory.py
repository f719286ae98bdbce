"""Domains, mailboxes and aliases: what postfix and dovecot look addresses up in."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    CheckConstraint,
    ForeignKey,
    Index,
    Integer,
    String,
    UniqueConstraint,
    false,
    true,
)
from sqlalchemy.orm import Mapped, mapped_column, relationship

from usermgmt.models.base import MOMENT, TABLE_OPTIONS, Base, address_column, utc_now


class Domain(Base):
    """A domain whose mail this server accepts. NULL in a limit means: no limit of its own."""

    __tablename__ = "domains"
    __table_args__ = TABLE_OPTIONS

    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    name: Mapped[str] = mapped_column(address_column(253), unique=True)
    active: Mapped[bool] = mapped_column(Boolean, default=True, server_default=true())
    created_at: Mapped[datetime] = mapped_column(MOMENT, default=utc_now)
    version: Mapped[int] = mapped_column(Integer, default=1, server_default="1")
    __mapper_args__ = {"version_id_col": version}  # noqa: RUF012 - what SQLAlchemy asks for
    default_quota_bytes: Mapped[int | None] = mapped_column(BigInteger)
    most_mailboxes: Mapped[int | None] = mapped_column(Integer)
    most_aliases: Mapped[int | None] = mapped_column(Integer)
    #: What the quotas of all its mailboxes may be together, and the largest that its own admins may give.
    storage_bytes: Mapped[int | None] = mapped_column(BigInteger)
    largest_quota_bytes: Mapped[int | None] = mapped_column(BigInteger)


class DomainDns(Base):
    """What public DNS said of a domain's records when mailctl last looked: no change of the domain itself."""

    __tablename__ = "domain_dns"
    __table_args__ = TABLE_OPTIONS

    domain_id: Mapped[int] = mapped_column(ForeignKey("domains.id", ondelete="CASCADE"), primary_key=True)
    checked_at: Mapped[datetime] = mapped_column(MOMENT)
    #: Each with type, name, content, state and what was found: services/dns.py.
    records: Mapped[list[dict[str, Any]]] = mapped_column(JSON)


class Mailbox(Base):
    """An account that receives mail and may log in. `quota_bytes` limits what it stores.

    `home` is its folder below the mail root; NULL means domain/local part. A deleted mailbox keeps its row,
    with `active` off, until the time to restore it has passed.
    """

    __tablename__ = "mailboxes"
    __table_args__ = (
        CheckConstraint("quota_bytes > 0", name="quota_positive"),
        Index(
            "ix_mailboxes_search",
            "email",
            "display_name",
            "deleted_at",
            "domain_id",
            "active",
            "quota_bytes",
            "last_login_at",
        ),
        TABLE_OPTIONS,
    )

    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    domain_id: Mapped[int] = mapped_column(ForeignKey("domains.id"), index=True)
    email: Mapped[str] = mapped_column(address_column(320), unique=True)
    password_hash: Mapped[str] = mapped_column(String(255))
    display_name: Mapped[str] = mapped_column(String(255), default="", server_default="")
    quota_bytes: Mapped[int] = mapped_column(BigInteger)
    active: Mapped[bool] = mapped_column(Boolean, default=True, server_default=true())
    created_at: Mapped[datetime] = mapped_column(MOMENT, default=utc_now)
    updated_at: Mapped[datetime] = mapped_column(MOMENT, default=utc_now, onupdate=utc_now)
    version: Mapped[int] = mapped_column(Integer, default=1, server_default="1")
    __mapper_args__ = {"version_id_col": version}  # noqa: RUF012 - what SQLAlchemy asks for
    home: Mapped[str | None] = mapped_column(address_column(340))
    deleted_at: Mapped[datetime | None] = mapped_column(MOMENT, index=True)
    two_factor: Mapped[bool] = mapped_column(Boolean, default=False, server_default=false())
    last_login_at: Mapped[datetime | None] = mapped_column(MOMENT)
    sessions_ended_at: Mapped[datetime | None] = mapped_column(MOMENT)
    language: Mapped[str | None] = mapped_column(String(16))
    timezone: Mapped[str | None] = mapped_column(String(64))
    #: Where its mail is stored, on several hosts. Only the mover changes it (models/shards.py).
    shard: Mapped[str] = mapped_column(address_column(32), default="a", server_default="a", index=True)
    volume: Mapped[str] = mapped_column(address_column(32), default="a", server_default="a")

    domain: Mapped[Domain] = relationship()


class Alias(Base):
    """One destination of an alias. `source` `@domain` takes what no mailbox and no alias takes.

    `may_send`: the destination, a mailbox here, may also send as the source.
    """

    __tablename__ = "aliases"
    __table_args__ = (
        UniqueConstraint("source", "destination"),
        Index("ix_aliases_search", "source", "destination", "domain_id"),
        TABLE_OPTIONS,
    )

    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    domain_id: Mapped[int] = mapped_column(ForeignKey("domains.id"), index=True)
    source: Mapped[str] = mapped_column(address_column(320))
    destination: Mapped[str] = mapped_column(address_column(320), index=True)
    active: Mapped[bool] = mapped_column(Boolean, default=True, server_default=true())
    created_at: Mapped[datetime] = mapped_column(MOMENT, default=utc_now)
    version: Mapped[int] = mapped_column(Integer, default=1, server_default="1")
    __mapper_args__ = {"version_id_col": version}  # noqa: RUF012 - what SQLAlchemy asks for
    may_send: Mapped[bool] = mapped_column(Boolean, default=True, server_default=true())

    domain: Mapped[Domain] = relationship()
