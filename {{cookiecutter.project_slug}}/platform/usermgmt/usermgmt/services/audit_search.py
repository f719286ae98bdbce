"""Finding rows of the audit log, by page or as a table for a spreadsheet."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable

from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from usermgmt.models import AuditEntry
from usermgmt.services.audit import within
from usermgmt.services.mailboxes import PAGE, contains, total

#: More than an administrator reads, and little enough for one answer.
MOST_ROWS = 10_000
COLUMNS = ("at (UTC)", "actor", "action", "subject", "detail", "client address")
#: What a spreadsheet takes for a formula.
FORMULA = ("=", "+", "-", "@", "\t", "\r")


def matching(search: str, action: str, scope: frozenset[int] | None) -> Select[tuple[AuditEntry]]:
    """Rows about or by somebody, of one kind or all, about the domains of `scope`."""
    query = select(AuditEntry).where(within(scope))
    if search.strip():
        pattern = contains(search)
        query = query.where(
            AuditEntry.subject.like(pattern, escape="\\") | AuditEntry.actor.like(pattern, escape="\\")
        )
    return query.where(AuditEntry.action == action) if action else query


def find(
    session: Session, search: str, action: str, page: int, scope: frozenset[int] | None = None
) -> tuple[list[AuditEntry], int]:
    """One page (from 1) of at most PAGE rows, newest first, and how many match in all."""
    query = matching(search, action, scope)
    newest = query.order_by(AuditEntry.id.desc()).limit(PAGE).offset((max(page, 1) - 1) * PAGE)
    rows = list(session.scalars(newest))
    return rows, total(session, query, len(rows), page)


def inert(text: str) -> str:
    """Text that no spreadsheet runs."""
    return "'" + text if text.startswith(FORMULA) else text


def as_csv(rows: Iterable[AuditEntry]) -> str:
    """The rows as a table."""
    written = io.StringIO()
    table = csv.writer(written)
    table.writerow(COLUMNS)
    for row in rows:
        detail = json.dumps(row.detail, ensure_ascii=False, sort_keys=True)
        cells = (
            f"{row.at:%Y-%m-%d %H:%M:%S}",
            row.actor,
            row.action,
            row.subject,
            detail,
            row.client_address,
        )
        table.writerow([inert(cell) for cell in cells])
    return written.getvalue()


def export(session: Session, search: str, action: str, scope: frozenset[int] | None = None) -> str:
    """The newest matching rows as CSV."""
    query = matching(search, action, scope)
    return as_csv(session.scalars(query.order_by(AuditEntry.id.desc()).limit(MOST_ROWS)))
