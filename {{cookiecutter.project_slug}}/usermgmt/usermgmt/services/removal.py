"""Deleting mailboxes: for a while they can be restored, then the account is gone. Mail on disk stays."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from usermgmt.database import lock_directory
from usermgmt.models import AuditEntry, Mailbox, utc_now
from usermgmt.services.audit import Actor, record
from usermgmt.services.directory import refuse_if_needed
from usermgmt.services.mailboxes import check_limit, get_mailbox

#: How long a deleted mailbox can be restored.
GRACE = timedelta(days=30)


def restorable_until(mailbox: Mailbox) -> datetime:
    """When a deleted mailbox is gone for good."""
    return (mailbox.deleted_at or utc_now()) + GRACE


def delete_mailbox(session: Session, actor: Actor, mailbox_id: int) -> str:
    """Stop a mailbox and take it from the lists; returns its address. Raises Missing or Refused."""
    lock_directory(session)
    purge(session)
    mailbox = get_mailbox(session, mailbox_id)
    refuse_if_needed(session, mailbox.email)
    was_active = mailbox.active
    # Not active as well: code and queries that know nothing of deleted_at refuse its mail and log-ins too.
    mailbox.active = False
    mailbox.deleted_at = mailbox.sessions_ended_at = utc_now()
    record(session, actor, "mailbox.delete", mailbox.email, active=was_active)
    return mailbox.email


def restore_mailbox(session: Session, actor: Actor, mailbox_id: int) -> Mailbox:
    """Undo a deletion: the mailbox is as it was, with its mail. Raises Missing or Refused."""
    lock_directory(session)
    purge(session)
    mailbox = get_mailbox(session, mailbox_id, deleted=True)
    check_limit(session, mailbox.domain, mailbox.email)
    deletion = (AuditEntry.subject == mailbox.email, AuditEntry.action == "mailbox.delete")
    detail = session.scalar(
        select(AuditEntry.detail).where(*deletion).order_by(AuditEntry.id.desc()).limit(1)
    )
    mailbox.active = bool((detail or {}).get("active", False))
    mailbox.deleted_at = None
    record(session, actor, "mailbox.restore", mailbox.email)
    return mailbox


def erase_mailbox(session: Session, actor: Actor, mailbox_id: int) -> str:
    """Delete a deleted mailbox for good, so that its address is free; returns it. Raises Missing."""
    lock_directory(session)
    mailbox = get_mailbox(session, mailbox_id, deleted=True)
    session.delete(mailbox)
    record(session, actor, "mailbox.erase", mailbox.email)
    return mailbox.email


def purge(session: Session) -> None:
    """Remove the accounts whose time to be restored has passed. One statement, whatever their number."""
    session.execute(delete(Mailbox).where(Mailbox.deleted_at < utc_now() - GRACE))
