"""Deleting mailboxes: for a while they can be restored, then the account and its mail are gone.

Of the mail only its folder's name is known here. `mailctl purge`, every night on the host, asks for those
that are due (homes_to_remove) and removes them.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from usermgmt.database import lock_directory
from usermgmt.models import AuditEntry, Mailbox, utc_now
from usermgmt.services.audit import EXPIRY, Actor, record
from usermgmt.services.directory import refuse_if_needed
from usermgmt.services.mail_rules import cut_forwards
from usermgmt.services.mailboxes import check_limit, get_mailbox, home_of
from usermgmt.services.storage import check_quota

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
    cut_forwards(session, actor, mailbox.email)
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
    check_quota(session, actor, mailbox.domain, mailbox.quota_bytes, ("email", mailbox.email))
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
    note_removal(session, actor, "mailbox.erase", mailbox)
    session.delete(mailbox)
    return mailbox.email


def note_removal(session: Session, actor: Actor, action: str, mailbox: Mailbox) -> None:
    """Record which folder nobody has any more, and until when its mail is kept."""
    until = restorable_until(mailbox).isoformat(timespec="seconds")
    record(session, actor, action, mailbox.email, home=home_of(mailbox), mail_kept_until=until)


def purge(session: Session) -> list[str]:
    """Remove the accounts whose time to be restored has passed; their addresses. Three statements at most."""
    expired = list(session.scalars(select(Mailbox).where(Mailbox.deleted_at < utc_now() - GRACE)))
    for mailbox in expired:
        note_removal(session, EXPIRY, "mailbox.purge", mailbox)
    if expired:
        session.execute(delete(Mailbox).where(Mailbox.id.in_([mailbox.id for mailbox in expired])))
    return [mailbox.email for mailbox in expired]


def homes_to_remove(session: Session) -> list[str]:
    """Folders below the mail root whose mail nobody can ask for any more; some are removed already.

    Only of accounts whose end is in the audit log, with the folder's name, and never one that a mailbox has:
    a database that was restored from an earlier day knows of neither.
    """
    used = {home_of(mailbox) for mailbox in session.scalars(select(Mailbox))}
    ends = select(AuditEntry.detail).where(AuditEntry.action.in_(("mailbox.erase", "mailbox.purge")))
    now = utc_now().isoformat(timespec="seconds")
    due = {detail["home"] for detail in session.scalars(ends) if detail.get("mail_kept_until", now) < now}
    return sorted(due - used)
