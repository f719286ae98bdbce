"""The people who administer, what they did, and who tried to log in."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, Boolean, CheckConstraint, Column, ForeignKey, Index, Integer, String, Table, true
from sqlalchemy.orm import Mapped, mapped_column, relationship

from usermgmt.models.base import MOMENT, ROW_ID, TABLE_OPTIONS, Base, address_column, utc_now
from usermgmt.models.directory import Domain

OWNER, DOMAIN_ADMIN = "owner", "domain-admin"

#: Which domains a domain admin administers; an owner needs no rows here.
admin_domains = Table(
    "admin_domains",
    Base.metadata,
    Column("admin_id", ForeignKey("admins.id", ondelete="CASCADE"), primary_key=True),
    Column("domain_id", ForeignKey("domains.id", ondelete="CASCADE"), primary_key=True, index=True),
    **TABLE_OPTIONS,
)


class Admin(Base):
    """A person who administers: an owner everything, a domain admin some domains. Not a mailbox."""

    __tablename__ = "admins"
    __table_args__ = (CheckConstraint("role IN ('owner', 'domain-admin')", name="role"), TABLE_OPTIONS)

    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    email: Mapped[str] = mapped_column(address_column(320), unique=True)
    password_hash: Mapped[str] = mapped_column(String(255))
    active: Mapped[bool] = mapped_column(Boolean, default=True, server_default=true())
    created_at: Mapped[datetime] = mapped_column(MOMENT, default=utc_now)
    # Whoever was an admin before there were roles could do everything.
    role: Mapped[str] = mapped_column(String(16), default=OWNER, server_default=OWNER)
    version: Mapped[int] = mapped_column(Integer, default=1, server_default="1")
    __mapper_args__ = {"version_id_col": version}  # noqa: RUF012 - what SQLAlchemy asks for
    sessions_ended_at: Mapped[datetime | None] = mapped_column(MOMENT)
    language: Mapped[str | None] = mapped_column(String(16))
    timezone: Mapped[str | None] = mapped_column(String(64))

    domains: Mapped[list[Domain]] = relationship(
        secondary=admin_domains, order_by=Domain.name, lazy="selectin"
    )


class AuditEntry(Base):
    """Who did what to which subject, and when. The application may add rows, never change them."""

    __tablename__ = "audit_log"
    __table_args__ = (
        Index("ix_audit_log_subject_action_at", "subject", "action", "at"),
        Index("ix_audit_log_client_address_action_at", "client_address", "action", "at"),
        Index("ix_audit_log_domain", "domain", "id"),
        Index("ix_audit_log_actor", "actor", "id"),
        TABLE_OPTIONS,
    )

    id: Mapped[int] = mapped_column(ROW_ID, primary_key=True)
    at: Mapped[datetime] = mapped_column(MOMENT, default=utc_now)
    actor: Mapped[str] = mapped_column(address_column(320))
    action: Mapped[str] = mapped_column(String(64))
    subject: Mapped[str] = mapped_column(address_column(320))
    detail: Mapped[dict[str, Any]] = mapped_column(JSON, default=dict)
    client_address: Mapped[str] = mapped_column(String(45), default="", server_default="")
    # Of the subject, so that a domain admin's page needs no search through all rows.
    domain: Mapped[str] = mapped_column(address_column(253), default="", server_default="")


class LoginAttempt(Base):
    """One log-in, right or wrong: apart from the audit log, so that strangers cannot flood that.

    `outcome` is `pending` while the password is looked at, then `wrong` or `success`. `device` is the mark of
    a browser that logged in to this account before, or empty. `via` is how a mail program came (`imap`,
    `smtp`, `sieve`), or `access`; empty for the log-in page. `guess_hash` is 24 bits by which Dovecot tells
    a wrong password from another: services/mail_logins.py.
    """

    __tablename__ = "login_attempts"
    __table_args__ = (
        Index("ix_login_attempts_account", "account", "at"),
        Index("ix_login_attempts_client_address", "client_address", "at"),
        Index("ix_login_attempts_outcome", "outcome", "at"),
        TABLE_OPTIONS,
    )

    id: Mapped[int] = mapped_column(ROW_ID, primary_key=True)
    at: Mapped[datetime] = mapped_column(MOMENT, default=utc_now)
    account: Mapped[str] = mapped_column(address_column(320))
    client_address: Mapped[str] = mapped_column(String(45), default="", server_default="")
    device: Mapped[str] = mapped_column(String(64), default="", server_default="")
    outcome: Mapped[str] = mapped_column(String(16), default="pending", server_default="pending")
    via: Mapped[str] = mapped_column(String(16), default="", server_default="")
    guess_hash: Mapped[str] = mapped_column(String(8), default="", server_default="")
