"""Calendars and address books: whose they are, and who a phone with an app password is."""

from __future__ import annotations

import hashlib
import hmac
from datetime import timedelta

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from usermgmt.database import Database
from usermgmt.mail.radicale import NAMESPACES, Radicale
from usermgmt.models import AppPassword, Domain, Mailbox, utc_now
from usermgmt.problems import Missing, Problem, Refused
from usermgmt.services.audit import Actor, record
from usermgmt.services.mail_logins import MailLogin, announce, report
from usermgmt.services.self_service import parse_label

#: More than that nobody needs, and a page can show.
MOST = 50
VIA = "dav"
#: An app password's last use is noted once in this time.
REFRESH = timedelta(minutes=1)


def person(mailbox: Mailbox) -> str:
    """What Radicale calls the owner of a mailbox: a restored database may give a number once more."""
    return f"{mailbox.id}-{mailbox.created_at:%Y%m%d%H%M%S}"


def log_in(database: Database, key: str, address: str, password: str, client_address: str) -> str | None:
    """Who shows this app password, as Radicale calls them; None: it is none of theirs.

    Wrong ones count with those of mail programs and of the log-in page; an app password itself is random.
    """
    guess = hmac.new(key.encode(), password.encode("utf-8", "replace"), hashlib.sha256).hexdigest()[:6]
    said: dict[str, object] = {"login": address, "remote": client_address, "protocol": VIA, "pwhash": guess}
    login = MailLogin.of(said)
    announce(database, login)
    with database.transaction() as session:
        found = owner_of(session, login.account, password)
    report(database, login, found is not None, "credentials")
    return found


def owner_of(session: Session, address: str, password: str) -> str | None:
    """Whose app password it is, if that is the address' and the account may log in; notes its use."""
    kept = hashlib.sha256(password.encode("utf-8", "replace")).hexdigest()
    rows = select(Mailbox, AppPassword).join(AppPassword, AppPassword.mailbox_id == Mailbox.id)
    rows = rows.join(Domain, Domain.id == Mailbox.domain_id).where(
        Mailbox.email == address,
        AppPassword.password_hash == kept,
        Mailbox.active,
        Domain.active,
        Mailbox.deleted_at.is_(None),
    )
    found = session.execute(rows).first()
    if found is None:
        return None
    mailbox, shown = found
    now = utc_now()
    if shown.last_used_at is None or shown.last_used_at < now - REFRESH:
        used = update(AppPassword).where(AppPassword.id == shown.id)
        session.execute(used.values(last_used_at=now))
    return person(mailbox)


def add(session: Session, actor: Actor, server: Radicale, mailbox: Mailbox, kind: str, name: str) -> str:
    """A calendar or an address book; its name as it is stored. Raises Refused, Unreachable."""
    label = parse_label(name)
    if kind not in NAMESPACES:
        wrong, instead = "This is neither a calendar nor an address book.", "Choose one of the two."
        raise Refused(Problem("kind", kind[:20], wrong, instead))
    if len(server.collections(person(mailbox))) >= MOST:
        wrong, instead = "There are {most} already.", "Delete one that you no longer need."
        raise Refused(Problem("name", name[:60], wrong, instead, {"most": str(MOST)}))
    server.add(person(mailbox), kind, label)
    record(session, actor, "calendar.add", mailbox.email, kind=kind, name=label)
    return label


def remove(session: Session, actor: Actor, server: Radicale, mailbox: Mailbox, key: str) -> str:
    """Delete one with all that is in it; what it was called. Raises Missing, Unreachable."""
    found = next((each for each in server.collections(person(mailbox)) if each.key == key), None)
    if found is None:
        wrong, instead = "There is no such calendar or address book.", "Choose one from the list."
        raise Missing(Problem("calendar", key[:60], wrong, instead))
    server.remove(person(mailbox), found.key)
    record(session, actor, "calendar.delete", mailbox.email, kind=found.kind, name=found.name)
    return found.name
