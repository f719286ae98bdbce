"""Which senders are allowed or blocked, and for whom."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey, Integer, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from usermgmt.models.base import MOMENT, TABLE_OPTIONS, Base, address_column, utc_now
from usermgmt.models.directory import Domain, Mailbox

ALLOW, BLOCK = "allow", "block"


class SenderRule(Base):
    """One entry of a list: `pattern` is an address, a domain, or `*.domain` for it and all below it.

    Whose list: a person's has `mailbox_id` and the domain of that, a domain's `domain_id` alone, the server's
    neither. `scope` says the same in one word that is never NULL, so that a pattern is in a list once.
    """

    __tablename__ = "sender_rules"
    __table_args__ = (UniqueConstraint("scope", "pattern"), TABLE_OPTIONS)

    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    scope: Mapped[str] = mapped_column(String(24))
    domain_id: Mapped[int | None] = mapped_column(ForeignKey("domains.id", ondelete="CASCADE"), index=True)
    mailbox_id: Mapped[int | None] = mapped_column(ForeignKey("mailboxes.id", ondelete="CASCADE"), index=True)
    pattern: Mapped[str] = mapped_column(address_column(320))
    kind: Mapped[str] = mapped_column(String(8))
    note: Mapped[str] = mapped_column(String(200), default="", server_default="")
    created_by: Mapped[str] = mapped_column(address_column(320))
    created_at: Mapped[datetime] = mapped_column(MOMENT, default=utc_now)

    domain: Mapped[Domain | None] = relationship(lazy="joined")
    mailbox: Mapped[Mailbox | None] = relationship(lazy="joined")

    @property
    def applies_to(self) -> str:
        """The address or the domain whose mail it is about; empty: everybody's here."""
        if self.mailbox is not None:
            return self.mailbox.email
        return self.domain.name if self.domain is not None else ""
