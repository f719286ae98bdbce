"""What people have done with their mail when it arrives: replies while they are away, and forwards."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Boolean, ForeignKey, Integer, String, Text, false, true
from sqlalchemy.orm import Mapped, mapped_column

from usermgmt.models.base import MOMENT, TABLE_OPTIONS, Base, address_column


class MailRules(Base):
    """The choices of one mailbox, and the sieve script that Dovecot runs for them, after that for spam.

    `script` and `script_id`, its SHA-256, are NULL while nothing is on. Dovecot may read those two alone.
    """

    __tablename__ = "mail_rules"
    __table_args__ = TABLE_OPTIONS

    mailbox_id: Mapped[int] = mapped_column(ForeignKey("mailboxes.id", ondelete="CASCADE"), primary_key=True)
    reply: Mapped[bool] = mapped_column(Boolean, default=False, server_default=false())
    reply_subject: Mapped[str] = mapped_column(String(255), default="", server_default="")
    reply_text: Mapped[str] = mapped_column(Text, default="")
    #: Whole days in the person's time zone, as UTC; `ends_at` is the first moment without replies.
    starts_at: Mapped[datetime | None] = mapped_column(MOMENT)
    ends_at: Mapped[datetime | None] = mapped_column(MOMENT)
    #: The same sender gets one reply in so many days.
    reply_days: Mapped[int] = mapped_column(Integer, default=7, server_default="7")
    #: Addresses with spaces between them; empty: nothing is forwarded.
    forward_to: Mapped[str] = mapped_column(Text, default="")
    #: The same for addresses outside this server: the edge forwards to them, and the mail stays here.
    forward_outside: Mapped[str] = mapped_column(address_column(1300), default="", server_default="")
    #: The score from which mail goes to Junk; NULL: the server's.
    junk_from: Mapped[int | None] = mapped_column(Integer)
    keep_copy: Mapped[bool] = mapped_column(Boolean, default=True, server_default=true())
    script_id: Mapped[str | None] = mapped_column(String(64))
    script: Mapped[str | None] = mapped_column(Text)
