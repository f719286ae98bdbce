"""What people change about their own account: the password, and passwords of mail programs."""

from __future__ import annotations

import hashlib

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from usermgmt.models import Admin, AppPassword, Mailbox
from usermgmt.passwords import Hasher, check_password, generate_password
from usermgmt.problems import Collector, Problem, Refused
from usermgmt.services.accounts import Account, knows_password
from usermgmt.services.audit import Actor, record

MOST_APP_PASSWORDS = 30
LONGEST_LABEL = 60


def parse_label(value: str) -> str:
    """The name that a person gives to a program or a device; raises Refused."""
    label = " ".join(value.split())
    if not label or len(label) > LONGEST_LABEL or not label.isprintable():
        wrong = "A name is missing, too long or has an invisible character."
        instead = "Use one that you recognise later, of at most 60 characters, such as “Phone”."
        raise Refused(Problem("name", value[:LONGEST_LABEL], wrong, instead))
    return label


def check_own_password(hasher: Hasher, account: Account, password: str) -> None:
    """Refuse unless it is the account's password: a browser left open must not be enough."""
    if not knows_password(hasher, account, password):
        wrong, instead = "This is not your password.", "Type the one you log in with."
        raise Refused(Problem("old_password", "", wrong, instead))


def set_password(hasher: Hasher, account: Account, new: str, again: str) -> None:
    """Set a password that was typed twice; raises Refused with every problem."""
    wrong = Collector()
    with wrong:
        check_password(new, account.email)
    with wrong:
        if new != again:
            raise Refused(Problem("again", "", "The two passwords differ.", "Type the new one twice."))
    wrong.check()
    made = hasher.hash(new) if isinstance(account, Admin) else hasher.hash_for_mailbox(new)
    account.password_hash = made


def change_own_password(
    session: Session, actor: Actor, hasher: Hasher, account: Account, new: str, again: str
) -> None:
    """Set one's own password, once the old one was checked; raises Refused with every problem."""
    set_password(hasher, account, new, again)
    record(session, actor, "password.change", account.email)


def list_app_passwords(session: Session, account: Account) -> list[AppPassword]:
    """The app passwords of a mailbox by name; an admin has none."""
    if isinstance(account, Admin):
        return []
    rows = select(AppPassword).where(AppPassword.mailbox_id == account.id)
    return list(session.scalars(rows.order_by(AppPassword.name, AppPassword.id)))


def add_app_password(session: Session, actor: Actor, mailbox: Mailbox, name: str) -> str:
    """A new password for one mail program; what is returned is kept nowhere. Raises Refused."""
    label = parse_label(name)
    if len(list_app_passwords(session, mailbox)) >= MOST_APP_PASSWORDS:
        wrong, instead = "There are 30 app passwords already.", "Revoke those that you no longer use."
        raise Refused(Problem("name", name[:LONGEST_LABEL], wrong, instead))
    password = generate_password()
    kept = hashlib.sha256(password.encode()).hexdigest()
    session.add(AppPassword(mailbox_id=mailbox.id, name=label, password_hash=kept))
    record(session, actor, "app-password.add", mailbox.email, name=label)
    return password


def remove_app_password(session: Session, actor: Actor, mailbox: Mailbox, row_id: int) -> None:
    """Revoke an app password; somebody else's stays."""
    mine = (AppPassword.id == row_id, AppPassword.mailbox_id == mailbox.id)
    row = session.scalar(select(AppPassword).where(*mine))
    if row is not None:
        session.delete(row)
        record(session, actor, "app-password.delete", mailbox.email, name=row.name)


def end_app_passwords(session: Session, mailbox: Mailbox) -> None:
    """Revoke all, with a new password: whoever was in the account may have made one, to come back with."""
    session.execute(delete(AppPassword).where(AppPassword.mailbox_id == mailbox.id))
