"""What happened to each mail, as rspamd reported it."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, Boolean, Float, ForeignKey, Index, Integer, String, false
from sqlalchemy.orm import Mapped, mapped_column

from usermgmt.models.base import MOMENT, ROW_ID, TABLE_OPTIONS, Base, address_column


class MailReport(Base):
    """One mail to or from one mailbox here; to an alias of three, three rows. Nothing of its content.

    `outcome` is `refused`, `junk`, `deferred` or `accepted`. `key_header` and `key_value` find the mail in
    the mailbox. `moved_to` is `inbox` or `junk` once somebody here moved it, else empty. Without
    `mailbox_id`, the recipient had no mailbox here at that time.
    """

    __tablename__ = "mail_reports"
    __table_args__ = (
        Index("ix_mail_reports_mailbox_id", "mailbox_id", "at"),
        Index("ix_mail_reports_domain_id", "domain_id", "at"),
        Index("ix_mail_reports_at", "at"),
        Index("ix_mail_reports_report", "report"),
        TABLE_OPTIONS,
    )

    id: Mapped[int] = mapped_column(ROW_ID, primary_key=True)
    report: Mapped[str] = mapped_column(String(32))
    at: Mapped[datetime] = mapped_column(MOMENT)
    domain_id: Mapped[int] = mapped_column(ForeignKey("domains.id", ondelete="CASCADE"))
    mailbox_id: Mapped[int | None] = mapped_column(ForeignKey("mailboxes.id", ondelete="CASCADE"))
    outbound: Mapped[bool] = mapped_column(Boolean, default=False, server_default=false())
    outcome: Mapped[str] = mapped_column(String(16))
    sender: Mapped[str] = mapped_column(address_column(320))
    recipient: Mapped[str] = mapped_column(address_column(320))
    subject: Mapped[str] = mapped_column(String(255))
    size: Mapped[int] = mapped_column(Integer)
    score: Mapped[float] = mapped_column(Float)
    threshold: Mapped[float] = mapped_column(Float)
    # Name of the symbol, its score, and what rspamd says about it.
    reasons: Mapped[list[list[Any]]] = mapped_column(JSON)
    key_header: Mapped[str] = mapped_column(String(32))
    key_value: Mapped[str] = mapped_column(String(80))
    moved_to: Mapped[str] = mapped_column(String(16), default="", server_default="")
