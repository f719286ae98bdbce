"""The people who may log in here, and the first of them."""

from __future__ import annotations

import logging

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from usermgmt.addresses import parse_address
from usermgmt.database import Database
from usermgmt.models import OWNER, Admin, ApiToken
from usermgmt.passwords import Hasher, check_password
from usermgmt.problems import Collector, InUse, Missing, Problem, Refused, Taken
from usermgmt.services import second_factor
from usermgmt.services.audit import START, Actor, record
from usermgmt.services.directory import save

log = logging.getLogger("usermgmt")


def find_admin(session: Session, email: str) -> Admin | None:
    """The admin with this stored address."""
    return session.scalar(select(Admin).where(Admin.email == email))


def list_admins(session: Session) -> list[Admin]:
    """All admins by address."""
    return list(session.scalars(select(Admin).order_by(Admin.email)))


def add_admin(session: Session, actor: Actor, hasher: Hasher, email: str, password: str) -> Admin:
    """Let a person log in; raises Refused."""
    wrong = Collector()
    address = ""
    with wrong:
        address = parse_address(email, "email")
    with wrong:
        check_password(password, address)
    wrong.check()
    taken = Problem("email", email, "This admin is already here.", "Use `admin reset` for a new password.")
    if find_admin(session, address):
        raise Taken(taken)
    admin = Admin(email=address, password_hash=hasher.hash(password))
    save(session, admin, taken)
    record(session, actor, "admin.add", address)
    return admin


def reset_admin(session: Session, actor: Actor, hasher: Hasher, email: str, password: str) -> Admin:
    """Set an admin's password, enable the admin, end all sessions and tokens, turn the second factor off.

    Raises Missing or Refused.
    """
    address = parse_address(email, "email")
    admin = find_admin(session, address)
    if admin is None:
        raise Missing(Problem("email", email, "There is no such admin.", "Use `admin add` to create one."))
    check_password(password, address)
    admin.password_hash, admin.active = hasher.hash(password), True
    record(session, actor, "admin.reset", address)
    second_factor.remove_all(session, actor, admin)
    # Whoever was in the account may have made one, to come back with.
    session.execute(delete(ApiToken).where(ApiToken.admin_id == admin.id))
    return admin


def get_admin(session: Session, admin_id: int) -> Admin:
    """The admin with this id; raises Missing."""
    admin = session.get(Admin, admin_id)
    if admin is None:
        raise Missing(Problem("email", str(admin_id), "There is no such admin.", "Choose one from the list."))
    return admin


def remove_admin(session: Session, actor: Actor, admin_id: int) -> str:
    """Remove an admin, but never the last owner; returns the address. Raises Missing or Refused."""
    # All owners are locked: two of them who remove each other at the same time leave one.
    owners = select(Admin.id).where(Admin.role == OWNER, Admin.active).with_for_update()
    others = [each for each in session.scalars(owners) if each != admin_id]
    admin = get_admin(session, admin_id)
    if not others:
        wrong, instead = "This is the last owner.", "Add another owner first."
        raise InUse(Problem("email", admin.email, wrong, instead))
    session.delete(admin)
    record(session, actor, "admin.remove", admin.email)
    return admin.email


def has_admin(database: Database) -> bool:
    """Whether anybody may log in, or could if enabled."""
    with database.transaction() as session:
        return session.scalar(select(Admin.id).limit(1)) is not None


def create_first_admin(database: Database, hasher: Hasher, email: str, password: str) -> bool:
    """Create the first admin if there is none; returns whether this call did it.

    Workers that start at the same time may all try: the unique address lets one of them win.
    Raises Refused if the address or the password is not fit, DBAPIError if the database is not there.
    """
    if has_admin(database):
        return False
    try:
        with database.transaction() as session:
            add_admin(session, START, hasher, email, password)
    except Refused:
        if has_admin(database):
            return False
        raise
    log.info("created the first admin %s", email)
    return True
