"""Where mailboxes are stored, for several hosts: docs/several-hosts.md. On one host there are no rows."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Boolean, ForeignKey, String, true
from sqlalchemy.orm import Mapped, mapped_column

from usermgmt.models.base import MOMENT, TABLE_OPTIONS, Base, address_column

#: What mailboxes are of until somebody says otherwise.
FIRST_SHARD = "a"


class Shard(Base):
    """A part of the mailboxes, held by one host: the service `dovecot-NAME`.

    It has a volume of its own name. What it took over from a host that failed is in others.
    """

    __tablename__ = "shards"
    __table_args__ = TABLE_OPTIONS

    name: Mapped[str] = mapped_column(address_column(32), primary_key=True)
    node: Mapped[str] = mapped_column(String(63))
    #: Whether new mailboxes may be put here.
    open: Mapped[bool] = mapped_column(Boolean, default=True, server_default=true())


class MailboxMove(Base):
    """A mailbox on its way to another shard. The mover (usermgmt/mover.py) takes it there.

    Until `flipped_at` the source serves it, then the target. `merged_at`: what came to the source last is at
    the target. The row goes when the source holds nothing any more. A host that failed is the source of all
    that another one took over: they wait until it is back, so that what it had not copied comes along.
    """

    __tablename__ = "mailbox_moves"
    __table_args__ = TABLE_OPTIONS

    mailbox_id: Mapped[int] = mapped_column(ForeignKey("mailboxes.id", ondelete="CASCADE"), primary_key=True)
    source: Mapped[str] = mapped_column(address_column(32))
    #: Where the source has it.
    source_volume: Mapped[str] = mapped_column(address_column(32))
    target: Mapped[str] = mapped_column(address_column(32))
    #: Where the target has it: a folder that no move had before, as a copy is only made into an empty one.
    target_volume: Mapped[str] = mapped_column(address_column(32))
    asked_at: Mapped[datetime] = mapped_column(MOMENT)
    flipped_at: Mapped[datetime | None] = mapped_column(MOMENT)
    merged_at: Mapped[datetime | None] = mapped_column(MOMENT)
    #: When it is looked at again.
    again_at: Mapped[datetime] = mapped_column(MOMENT)
    #: Why the last attempt failed; empty after one that did not.
    trouble: Mapped[str] = mapped_column(String(255), default="", server_default="")
    #: What the source held when it was merged: if it holds something else later, it is merged once more.
    seen: Mapped[str] = mapped_column(String(64), default="", server_default="")
