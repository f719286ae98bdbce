"""Mailboxes whose password is being guessed from many networks, from the memory of failed log-ins.

Limits hold such guessing back (logins.py, mail_logins.py) and let the owner in; this is so that the owner of
the server hears of it. mailctl asks when it hands over its report.
"""

from __future__ import annotations

from collections import defaultdict
from datetime import timedelta
from ipaddress import ip_address, ip_network
from typing import NamedTuple

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from usermgmt.models import LoginAttempt, Mailbox, utc_now
from usermgmt.services.logins import WRONG

WITHIN = timedelta(hours=1)
#: A phone with an old password that travels comes from a few networks; so many are no person.
MANY_NETWORKS, MANY_ATTEMPTS = 10, 30
#: What one who rents addresses gets at once, in bits.
PREFIXES = {4: 24, 6: 48}
#: Reported at once, those with the most networks.
MOST = 20


class Attack(NamedTuple):
    """A mailbox, the wrong passwords that were tried, and from how many networks."""

    address: str
    attempts: int
    networks: int


def network_of(client_address: str) -> str:
    """The network of a client; a client without an address is one of its own."""
    try:
        prefix = PREFIXES[ip_address(client_address).version]
    except ValueError:
        return client_address
    return str(ip_network((client_address, prefix), strict=False))


def attacked(session: Session) -> list[Attack]:
    """The mailboxes under attack within the last hour, the worst first."""
    query = (
        select(LoginAttempt.account, LoginAttempt.client_address, func.count())
        .join(Mailbox, Mailbox.email == LoginAttempt.account)
        .where(LoginAttempt.outcome == WRONG, LoginAttempt.at > utc_now() - WITHIN)
        .where(Mailbox.deleted_at.is_(None))
        .group_by(LoginAttempt.account, LoginAttempt.client_address)
    )
    networks: dict[str, set[str]] = defaultdict(set)
    attempts: dict[str, int] = defaultdict(int)
    for account, client_address, count in session.execute(query):
        networks[account].add(network_of(client_address))
        attempts[account] += count
    found = [Attack(each, attempts[each], len(networks[each])) for each in networks]
    many = [each for each in found if each.networks >= MANY_NETWORKS and each.attempts >= MANY_ATTEMPTS]
    return sorted(many, key=lambda each: (-each.networks, each.address))[:MOST]
