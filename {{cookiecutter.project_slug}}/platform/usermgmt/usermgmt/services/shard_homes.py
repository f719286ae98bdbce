"""What mailctl asks of several hosts: which folders a shard's disk has to have, and where a mailbox is."""

from __future__ import annotations

from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from usermgmt.models import Mailbox, MailboxMove, Shard
from usermgmt.services.mailboxes import home_of


def homes_of(session: Session, shard: str) -> dict[str, Any]:
    """Of each mailbox of a shard the volume, by its folder there; and those of which a move may need more."""
    served = select(Mailbox).where(Mailbox.shard == shard)
    touched = (MailboxMove.source == shard) | (MailboxMove.target == shard)
    moved = select(Mailbox).join(MailboxMove, MailboxMove.mailbox_id == Mailbox.id).where(touched)
    return {
        "served": {home_of(mailbox): mailbox.volume for mailbox in session.scalars(served)},
        "moving": sorted(home_of(mailbox) for mailbox in session.scalars(moved)),
    }


def find(session: Session, address: str) -> dict[str, str] | None:
    """The shard of a mailbox and its host; None: there is no such mailbox."""
    query = select(Shard.name, Shard.node).join(Mailbox, Mailbox.shard == Shard.name)
    row = session.execute(query.where(Mailbox.email == address)).first()
    return {"shard": row.name, "node": row.node} if row else None
