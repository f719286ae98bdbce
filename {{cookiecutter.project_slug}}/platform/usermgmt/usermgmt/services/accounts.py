"""Whoever can log in to the pages: an admin, or the owner of a mailbox."""

from __future__ import annotations

from typing import Any, TypeVar

from sqlalchemy import ColumnElement, select, update
from sqlalchemy.orm import Session, joinedload

from usermgmt.models import Admin, Mailbox
from usermgmt.passwords import Hasher

Account = Admin | Mailbox
Owned = TypeVar("Owned")


def kind_of(account: Account) -> str:
    """`admin` or `mailbox`."""
    return "admin" if isinstance(account, Admin) else "mailbox"


def owner(account: Account) -> dict[str, int]:
    """The column that makes a row belong to the account."""
    return {f"{kind_of(account)}_id": account.id}


def belongs(model: Any, account: Account) -> ColumnElement[bool]:
    """Rows of `model` that belong to the account."""
    found: ColumnElement[bool] = getattr(model, f"{kind_of(account)}_id") == account.id
    return found


def own(session: Session, model: type[Owned], account: Account, row_id: int) -> Owned | None:
    """One row of `model`, unless it is somebody else's."""
    wanted: Any = model
    return session.scalar(select(model).where(wanted.id == row_id, belongs(model, account)))


def usable(account: Account | None) -> bool:
    """Whether the account may log in now."""
    if account is None or not account.active:
        return False
    return isinstance(account, Admin) or (account.deleted_at is None and account.domain.active)


def load(session: Session, kind: str, number: int) -> Account | None:
    """The account that a session names, if it may still log in."""
    account: Account | None = session.get(Admin, number) if kind == "admin" else session.get(Mailbox, number)
    return account if usable(account) else None


def knows_password(hasher: Hasher, account: Account | None, password: str) -> bool:
    """Whether it is the account's password; takes as long when there is no account."""
    return hasher.matches(password, None if account is None else account.password_hash)


def by_address(session: Session, kind: str, address: str) -> Account | None:
    """The account of that kind with this address, if it may log in now."""
    found: Account | None
    if kind == "admin":
        found = session.scalar(select(Admin).where(Admin.email == address))
    else:
        mailbox = select(Mailbox).where(Mailbox.email == address)
        found = session.scalar(mailbox.options(joinedload(Mailbox.domain)))
    return found if usable(found) else None


def authenticate(session: Session, hasher: Hasher, kind: str, address: str, password: str) -> Account | None:
    """The account of that kind with this address and password; as much work when there is none."""
    account = by_address(session, kind, address)
    return account if knows_password(hasher, account, password) else None


def keep_choices(session: Session, account: Account, chosen: dict[str, str]) -> None:
    """Remember language or time zone. Not a change of the account: its version stays, nobody is held up."""
    table = type(account)
    session.execute(update(table).where(table.id == account.id).values(**chosen))
