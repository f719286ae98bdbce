"""Lists of mailboxes as people look for them: a part of all, in some order. One index holds what is asked."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import ColumnElement, Select, func, select
from sqlalchemy.orm import Session

from usermgmt.models import Domain, Mailbox
from usermgmt.services.mailboxes import PAGE, matching, total

STATES: dict[str, ColumnElement[bool]] = {
    "enabled": Mailbox.active.is_(True),
    "disabled": Mailbox.active.is_(False),
    "never": Mailbox.last_login_at.is_(None),
}
ORDERS = {
    "address": Mailbox.email,
    "name": Mailbox.display_name,
    "quota": Mailbox.quota_bytes,
    "login": Mailbox.last_login_at,
    "state": Mailbox.active,
}


@dataclass(frozen=True)
class Part:
    """Which mailboxes are meant: those of `scope`, and of them what a person filters."""

    scope: frozenset[int] | None = None
    search: str = ""
    domain: str = ""
    state: str = ""
    #: Only ids above the first and up to the second: whoever came later is not among those that were counted.
    after: int = 0
    until: int | None = None

    def numbers(self) -> Select[tuple[int]]:
        """Their ids."""
        query = matching(self.search, False, self.scope)
        if self.domain:
            named = select(Domain.id).where(Domain.name == self.domain).scalar_subquery()
            query = query.where(Mailbox.domain_id == named)
        if self.until is not None:
            query = query.where(Mailbox.id > self.after, Mailbox.id <= self.until)
        return query.where(STATES[self.state]) if self.state in STATES else query


def list_part(
    session: Session, part: Part, order: str = "address", page: int = 1, size: int = PAGE
) -> tuple[list[Mailbox], int]:
    """One page (from 1) of at most `size` mailboxes, and how many there are in all.

    `order` is one of ORDERS, with a minus in front the other way round.
    """
    column = ORDERS.get(order.removeprefix("-"), Mailbox.email)
    by = (column.desc() if order.startswith("-") else column.asc(), Mailbox.email)
    query = part.numbers()
    numbers = query.order_by(*by).limit(size).offset((max(page, 1) - 1) * size).subquery()
    whole = select(Mailbox).join(numbers, numbers.c.id == Mailbox.id).order_by(*by)
    rows = list(session.scalars(whole))
    return rows, total(session, query, len(rows), page, size)


def extent(session: Session, part: Part) -> tuple[int, int]:
    """How many mailboxes there are, and the largest of their ids."""
    found = part.numbers().subquery()
    count, largest = session.execute(select(func.count(), func.max(found.c.id)).select_from(found)).one()
    return count, largest or 0
