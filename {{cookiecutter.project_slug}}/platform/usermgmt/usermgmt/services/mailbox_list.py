"""Lists of mailboxes as people look for them: a part of all, in some order. One index holds what is asked."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Select, func, select
from sqlalchemy.orm import Session

from usermgmt.models import Domain, Mailbox, MailboxUsage
from usermgmt.services.mailboxes import PAGE, matching, total

STATES: dict[str, ColumnElement[bool]] = {
    "enabled": Mailbox.active.is_(True),
    "disabled": Mailbox.active.is_(False),
    "never": Mailbox.last_login_at.is_(None),
    "full": MailboxUsage.used_bytes >= Mailbox.quota_bytes,
}
ORDERS = {
    "address": Mailbox.email,
    "name": Mailbox.display_name,
    "used": func.coalesce(MailboxUsage.used_bytes, 0),
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
        if self.state == "full":
            query = query.join(MailboxUsage, MailboxUsage.mailbox_id == Mailbox.id)
        return query.where(STATES[self.state]) if self.state in STATES else query


def list_part(
    session: Session, part: Part, order: str = "address", page: int = 1, size: int = PAGE
) -> tuple[list[Mailbox], int]:
    """One page (from 1) of at most `size` mailboxes, and how many there are in all.

    `order` is one of ORDERS, with a minus in front the other way round.
    """
    name = order.removeprefix("-")
    column = ORDERS.get(name, Mailbox.email)
    by = (column.desc() if order.startswith("-") else column.asc(), Mailbox.email)
    query = sorted_query = part.numbers()
    if name == "used" and part.state != "full":
        sorted_query = query.outerjoin(MailboxUsage, MailboxUsage.mailbox_id == Mailbox.id)
    numbers = list(session.scalars(sorted_query.order_by(*by).limit(size).offset((max(page, 1) - 1) * size)))
    whole = {row.id: row for row in session.scalars(select(Mailbox).where(Mailbox.id.in_(numbers)))}
    return [whole[number] for number in numbers], total(session, query, len(numbers), page, size)


def extent(session: Session, part: Part) -> tuple[int, int]:
    """How many mailboxes there are, and the largest of their ids."""
    found = part.numbers().subquery()
    count, largest = session.execute(select(func.count(), func.max(found.c.id)).select_from(found)).one()
    return count, largest or 0


def used_by(session: Session, rows: Iterable[Mailbox]) -> dict[str, int]:
    """How much mailboxes held when the host last measured, by address; who was not measured is left out."""
    query = select(Mailbox.email, MailboxUsage.used_bytes)
    query = query.join(MailboxUsage, MailboxUsage.mailbox_id == Mailbox.id)
    found = session.execute(query.where(Mailbox.id.in_([row.id for row in rows])))
    return {email: used for email, used in found}
