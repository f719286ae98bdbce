"""Who may do what: the one place that decides it, for the pages, the command line and programs alike.

An owner may do everything, a domain admin what concerns their domains, and the owner of a mailbox nothing of
this: what they do with their own account is in services/self_service.py.
"""

from __future__ import annotations

from usermgmt.models import DOMAIN_ADMIN, OWNER, Admin, Alias, Domain, Mailbox

Account = Admin | Mailbox
Thing = Domain | Mailbox | Alias

ADMINS = frozenset({OWNER, DOMAIN_ADMIN})
OWNERS = frozenset({OWNER})

#: Action to the roles that may do it; a domain admin only within their domains.
ACTIONS = {
    "overview": ADMINS,
    "domain.list": ADMINS,
    "domain.add": OWNERS,
    "domain.switch": OWNERS,
    "domain.change": OWNERS,
    "domain.delete": OWNERS,
    "mailbox.list": ADMINS,
    "mailbox.add": ADMINS,
    "mailbox.change": ADMINS,
    "mailbox.password": ADMINS,
    "mailbox.switch": ADMINS,
    "mailbox.delete": ADMINS,
    "mailbox.restore": ADMINS,
    "mailbox.erase": ADMINS,
    "alias.list": ADMINS,
    "alias.add": ADMINS,
    "alias.switch": ADMINS,
    "alias.delete": ADMINS,
    "admin.manage": OWNERS,
    "audit.list": OWNERS,
}


def scope(account: Account | None) -> frozenset[int] | None:
    """The ids of the domains that the account administers; None for all of them."""
    if not isinstance(account, Admin):
        return frozenset()
    return None if account.role == OWNER else frozenset(domain.id for domain in account.domains)


def domain_of_thing(thing: Thing) -> int:
    """The id of the domain that a thing belongs to."""
    return thing.id if isinstance(thing, Domain) else thing.domain_id


def may(account: Account | None, action: str, thing: Thing | None = None) -> bool:
    """Whether the account may do `action`, to `thing` if it is about one. Nobody may what has no row."""
    if not isinstance(account, Admin) or not account.active:
        return False
    if account.role not in ACTIONS.get(action, frozenset()):
        return False
    domains = scope(account)
    return thing is None or domains is None or domain_of_thing(thing) in domains
