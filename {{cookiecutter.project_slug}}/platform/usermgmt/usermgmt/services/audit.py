"""The audit log: who did what, when and from where."""

from __future__ import annotations

import ipaddress
import logging
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, insert, select, true
from sqlalchemy.orm import Session

from usermgmt.models import AuditEntry, Domain
from usermgmt.problems import CHANGED_MEANWHILE, Conflict, Problem

log = logging.getLogger("usermgmt.audit")


@dataclass(frozen=True)
class Actor:
    """Who acts: an admin's address, `command-line` or `start`; and the client's address if there is one."""

    name: str
    client_address: str = ""
    #: Ids of the domains that the actor may touch; None: all of them.
    domains: frozenset[int] | None = None

    def reaches(self, domain_id: int) -> bool:
        """Whether a domain is one of those."""
        return self.domains is None or domain_id in self.domains


#: Actions on what belongs to a domain, whose admins may see them.
ABOUT_DOMAINS = {"domain", "mailbox", "alias", "mail", "sender"}
COMMAND_LINE = Actor("command-line")
START = Actor("start")
#: What happens by itself when a time has passed.
EXPIRY = Actor("expiry")


def normal_address(text: str | None) -> str:
    """A client address in one form, IPv6 with all its digits so that a network is a prefix."""
    try:
        return ipaddress.ip_address(text or "").exploded
    except ValueError:
        return ""


def row(actor: Actor, action: str, subject: str, detail: dict[str, Any]) -> dict[str, Any]:
    """The columns of an entry."""
    kind = action.partition(".")[0]
    return {
        "actor": actor.name[:320],
        "action": action,
        "subject": subject[:320],
        "detail": detail,
        "client_address": actor.client_address,
        "domain": subject.rpartition("@")[2][:253] if kind in ABOUT_DOMAINS else "",
    }


def record(session: Session, actor: Actor, action: str, subject: str, **detail: Any) -> None:
    """Add a row to the audit log. Never pass a password or a hash in `detail`.

    Of what was changed, `detail` has `before` and `after`, each with the fields that differ.
    """
    session.add(AuditEntry(**row(actor, action, subject, detail)))
    log.info("%s by %s from %s on %r", action, actor.name, actor.client_address or "-", subject[:320])


def record_many(
    session: Session, actor: Actor, action: str, details: Iterable[tuple[str, dict[str, Any]]]
) -> None:
    """Add a row for each subject, all in one statement."""
    rows = [row(actor, action, subject, detail) for subject, detail in details]
    if rows:
        session.execute(insert(AuditEntry), rows)
    log.info("%s by %s from %s on %d subjects", action, actor.name, actor.client_address or "-", len(rows))


def change(
    session: Session, actor: Actor, action: str, subject: str, row: object, after: dict[str, Any]
) -> None:
    """Set the fields of `row` that differ, and record what they were and are; no row without one."""
    differ = {name: value for name, value in after.items() if getattr(row, name) != value}
    if not differ:
        return
    before = {name: getattr(row, name) for name in differ}
    for name, value in differ.items():
        setattr(row, name, value)
    record(session, actor, action, subject, before=before, after=differ)


def refuse_outdated(field: str, subject: str, current: int, seen: int | None) -> None:
    """Raise Conflict if the row was changed since a person has seen version `seen` of it."""
    if seen is not None and seen != current:
        raise Conflict(Problem(field, subject, *CHANGED_MEANWHILE))


def within(scope: frozenset[int] | None) -> ColumnElement[bool]:
    """Rows about the domains with these ids; None for all rows."""
    if scope is None:
        return true()
    return AuditEntry.domain.in_(select(Domain.name).where(Domain.id.in_(scope)))


def latest(session: Session, count: int, scope: frozenset[int] | None = None) -> list[AuditEntry]:
    """The newest rows, newest first; with `scope`, those about these domains only."""
    rows = select(AuditEntry).where(within(scope)).order_by(AuditEntry.id.desc()).limit(count)
    return list(session.scalars(rows))
