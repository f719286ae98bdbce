"""What the overview draws: how much mail there was, what the host reported, how full mailboxes are."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

from sqlalchemy import JSON, BigInteger, Date, ForeignKey, Integer, String
from sqlalchemy.orm import Mapped, mapped_column

from usermgmt.models.base import MOMENT, TABLE_OPTIONS, Base


class MailCount(Base):
    """How many mails of a domain there were in a `day` or a `month` (`period`) that began on `starts`, UTC.

    A mail to several people of a domain is one mail. `received` and `sent` are those that the filter let
    pass; `junk`, `refused` and `deferred` are what it did with the others, in whatever direction.
    """

    __tablename__ = "mail_counts"
    __table_args__ = TABLE_OPTIONS

    period: Mapped[str] = mapped_column(String(5), primary_key=True)
    starts: Mapped[date] = mapped_column(Date, primary_key=True)
    domain_id: Mapped[int] = mapped_column(ForeignKey("domains.id", ondelete="CASCADE"), primary_key=True)
    received: Mapped[int] = mapped_column(Integer, default=0, server_default="0")
    sent: Mapped[int] = mapped_column(Integer, default=0, server_default="0")
    junk: Mapped[int] = mapped_column(Integer, default=0, server_default="0")
    refused: Mapped[int] = mapped_column(Integer, default=0, server_default="0")
    deferred: Mapped[int] = mapped_column(Integer, default=0, server_default="0")


class HostNews(Base):
    """The last report of the host's monitor, `state`, and when it last measured the mailboxes, `usage`.

    `destinations` is what mailctl last heard of the outside addresses: services/outside.py.
    """

    __tablename__ = "host_news"
    __table_args__ = TABLE_OPTIONS

    name: Mapped[str] = mapped_column(String(16), primary_key=True)
    at: Mapped[datetime] = mapped_column(MOMENT)
    document: Mapped[dict[str, Any]] = mapped_column(JSON)


class MailboxUsage(Base):
    """How much a mailbox held when the host last measured: no change of the mailbox itself."""

    __tablename__ = "mailbox_usage"
    __table_args__ = TABLE_OPTIONS

    mailbox_id: Mapped[int] = mapped_column(
        ForeignKey("mailboxes.id", ondelete="CASCADE"), primary_key=True, autoincrement=False
    )
    used_bytes: Mapped[int] = mapped_column(BigInteger)
