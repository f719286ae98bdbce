"""What belongs to a mailbox, for those who administer it: who it gets mail for, what it does, its devices."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from usermgmt.addresses import domain_of
from usermgmt.models import AppPassword, Domain, Mailbox, MailRules, Passkey, WebSession
from usermgmt.services.mail_rules import aliases_of, rules_of
from usermgmt.services.second_factor import passkeys_of
from usermgmt.services.self_service import list_app_passwords
from usermgmt.services.web_sessions import list_sessions


@dataclass(frozen=True)
class Uses:
    """Of devices only what they are called and when they were used is for others to see."""

    aliases: list[str]
    #: How many more aliases, of domains that the reader does not administer, lead here.
    elsewhere: int
    rules: MailRules
    app_passwords: list[AppPassword]
    passkeys: list[Passkey]
    sessions: list[WebSession]


def uses_of(session: Session, mailbox: Mailbox, scope: frozenset[int] | None) -> Uses:
    """All of it, for who administers the domains of `scope`. Few queries, whatever their number."""
    aliases = sorted(aliases_of(session, [mailbox.email])[mailbox.email])
    names = select(Domain.name) if scope is None else select(Domain.name).where(Domain.id.in_(scope))
    here = set(session.scalars(names.where(Domain.name.in_(set(map(domain_of, aliases))))))
    own = [alias for alias in aliases if domain_of(alias) in here]
    return Uses(
        own,
        len(aliases) - len(own),
        rules_of(session, mailbox),
        list_app_passwords(session, mailbox),
        passkeys_of(session, mailbox),
        list_sessions(session, mailbox),
    )
