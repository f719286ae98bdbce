"""The audit log: who did what, when and from where."""

from __future__ import annotations

import ipaddress
import logging
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from usermgmt.models import AuditEntry

log = logging.getLogger("usermgmt.audit")


@dataclass(frozen=True)
class Actor:
    """Who acts: an admin's address, `command-line` or `start`; and the client's address if there is one."""

    name: str
    client_address: str = ""


COMMAND_LINE = Actor("command-line")
START = Actor("start")


def normal_address(text: str | None) -> str:
    """A client address in one form, IPv6 with all its digits so that a network is a prefix."""
    try:
        return ipaddress.ip_address(text or "").exploded
    except ValueError:
        return ""


def record(session: Session, actor: Actor, action: str, subject: str, **detail: Any) -> None:
    """Add a row to the audit log. Never pass a password or a hash in `detail`."""
    session.add(
        AuditEntry(
            actor=actor.name[:320],
            action=action,
            subject=subject[:320],
            detail=detail,
            client_address=actor.client_address,
        )
    )
    log.info("%s by %s from %s on %r", action, actor.name, actor.client_address or "-", subject[:320])


def latest(session: Session, count: int) -> list[AuditEntry]:
    """The newest rows, newest first."""
    return list(session.scalars(select(AuditEntry).order_by(AuditEntry.id.desc()).limit(count)))
