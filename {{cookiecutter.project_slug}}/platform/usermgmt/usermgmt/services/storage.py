"""How much the mailboxes of a domain may be given: together, and each by the domain's own admins."""

from __future__ import annotations

from collections import Counter

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from usermgmt.database import lock_directory
from usermgmt.models import Domain, Mailbox, MailboxUsage
from usermgmt.problems import Problem, Refused
from usermgmt.quota import DEFAULT, format_quota, parse_quota
from usermgmt.services.audit import Actor


def given_by_domain(session: Session, *domain_ids: int) -> Counter[int]:
    """Bytes of the quotas of all mailboxes, those that can be restored left out, for each domain id."""
    query = select(Mailbox.domain_id, func.sum(Mailbox.quota_bytes)).where(Mailbox.deleted_at.is_(None))
    query = query.where(Mailbox.domain_id.in_(domain_ids)) if domain_ids else query
    rows = session.execute(query.group_by(Mailbox.domain_id))
    return Counter({domain_id: int(size) for domain_id, size in rows})


def used_in(session: Session, domain_id: int) -> int | None:
    """Bytes that the mailboxes of a domain held when the host last measured; None: it never did."""
    query = select(func.sum(MailboxUsage.used_bytes)).join(Mailbox, Mailbox.id == MailboxUsage.mailbox_id)
    used = session.scalar(query.where(Mailbox.domain_id == domain_id, Mailbox.deleted_at.is_(None)))
    return None if used is None else int(used)


def usual_quota(domain: Domain) -> int:
    """What a new mailbox of the domain gets."""
    usual = parse_quota(DEFAULT)
    return domain.default_quota_bytes or min(usual, domain.largest_quota_bytes or usual)


def refuse_quota(actor: Actor, domain: Domain, quota: int, given: int, problem: tuple[str, str]) -> None:
    """Refuse a quota beyond what the actor may give, or what is left beside the `given` of other mailboxes.

    `problem`: field and value to name. What admins of domains may give at most does not bind owners.
    """
    largest, storage = domain.largest_quota_bytes, domain.storage_bytes
    if largest is not None and actor.domains is not None and quota > largest:
        wrong, instead = "This is more than you may give.", "Use at most {most}, or ask an owner."
        raise Refused(Problem(*problem, wrong, instead, {"most": format_quota(largest)}))
    if storage is not None and quota > storage - given:
        wrong = "The domain has {free} of its {storage} left for this mailbox."
        instead = "Use less, lower another quota, or ask an owner for more."
        values = {"free": format_quota(max(storage - given, 0)), "storage": format_quota(storage)}
        raise Refused(Problem(*problem, wrong, instead, values))


def check_quota(
    session: Session, actor: Actor, domain: Domain, quota: int, problem: tuple[str, str], before: int = 0
) -> None:
    """The same for a mailbox that has `before` now: what is no more than that is never refused."""
    if quota > before:
        # Of two who raise a quota at once, the second is counted beside the first.
        lock_directory(session)
        given = given_by_domain(session, domain.id)[domain.id] - before
        refuse_quota(actor, domain, quota, given, problem)
