"""A part of a long list, found by the row before it: what is added or deleted meanwhile moves nothing."""

from __future__ import annotations

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, or_, select
from sqlalchemy.orm import InstrumentedAttribute, Session

from usermgmt.models import Domain
from usermgmt.problems import Problem, Refused
from usermgmt.services.mailboxes import address_holds, total

#: More is in no column of numbers.
LARGEST = 2**63 - 1


@dataclass(frozen=True)
class Window:
    """Which part is wanted: so many rows, after the row of a cursor or from a numbered page."""

    limit: int
    page: int = 1
    cursor: str = ""


@dataclass(frozen=True)
class Part:
    """The rows, how many there are in all (0 if that was not asked), and the cursor of the next part."""

    rows: list[Any]
    total: int
    next: str


@dataclass(frozen=True)
class Order:
    """By a column, then by number; `name` is what cursors of this order begin with."""

    name: str
    column: InstrumentedAttribute[Any]
    descending: bool = False

    @property
    def table(self) -> Any:
        """The table that is listed."""
        return self.column.class_

    def by(self) -> tuple[ColumnElement[Any], ...]:
        """For ORDER BY."""
        columns = (self.column, self.table.id)
        return tuple(each.desc() if self.descending else each.asc() for each in columns)

    def after(self, value: Any, number: int) -> ColumnElement[bool]:
        """Which rows come after one. The first condition follows from the second, and an index serves it."""
        column, row_id = self.column, self.table.id
        if self.descending:
            return and_(column <= value, or_(column < value, row_id < number))
        return and_(column >= value, or_(column > value, row_id > number))

    def cursor(self, row: Any) -> str:
        """What names a row as the last one that was shown."""
        value = getattr(row, self.column.key)
        shown = value.isoformat() if isinstance(value, datetime) else value
        return urlsafe_b64encode(json.dumps([self.name, shown, row.id]).encode()).decode().rstrip("=")

    def read(self, cursor: str) -> tuple[Any, int]:
        """Value and number of the row that a cursor names; raises Refused."""
        kind: type = self.column.type.python_type
        try:
            name, value, number = json.loads(urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
            value = datetime.fromisoformat(value) if kind is datetime else value
            str(value).encode()
            if name != self.name or type(value) is not kind or type(number) is not int:
                raise ValueError
            if any(isinstance(each, int) and abs(each) > LARGEST for each in (value, number)):
                raise ValueError
            return value, number
        except (ValueError, TypeError, RecursionError):
            wrong = "This is no cursor of this list in this order."
            raise Refused(
                Problem("cursor", cursor[:80], wrong, "Use what `next` of the part before says.")
            ) from None


def named(column: InstrumentedAttribute[str], text: str, exact: bool = True) -> Select[tuple[int]]:
    """The numbers of what has this name or address, in whatever way it is written, or the text in it."""
    table: Any = column.class_
    found = column == text.strip().lower() if exact else address_holds(column, text)
    return select(table.id).where(found)


def within(
    ids: Select[tuple[int]],
    column: InstrumentedAttribute[int],
    scope: frozenset[int] | None,
    domain: str = "",
) -> Select[tuple[int]]:
    """Those of them in these domains, and in the one with this name; `column` says in which each is."""
    ids = ids if scope is None else ids.where(column.in_(scope))
    return ids.where(column.in_(named(Domain.name, domain))) if domain.strip() else ids


def part(session: Session, ids: Select[tuple[int]], order: Order, window: Window, count: bool = True) -> Part:
    """The rows with these numbers in this order, within the window; raises Refused for a strange cursor."""
    after = order.after(*order.read(window.cursor)) if window.cursor else None
    skipped = 0 if window.cursor else (window.page - 1) * window.limit
    wanted = ids if after is None else ids.where(after)
    # One more than is shown tells whether there are more.
    numbers = wanted.order_by(*order.by()).limit(window.limit + 1).offset(skipped).subquery()
    table = order.table
    found = select(table).join(numbers, numbers.c.id == table.id).order_by(*order.by())
    rows = list(session.scalars(found))
    shown = rows[: window.limit]
    page = 2 if window.cursor else window.page
    in_all = total(session, ids, len(shown), page, window.limit) if count else 0
    return Part(shown, in_all, order.cursor(shown[-1]) if len(rows) > window.limit else "")
