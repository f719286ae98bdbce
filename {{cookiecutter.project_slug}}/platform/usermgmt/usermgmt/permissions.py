"""Who may do what: the one place that decides it, for the pages, the command line and programs alike.

An owner may do everything, a domain admin what concerns their domains, and everybody what is about their own
account, the owner of a mailbox also about its mail. Whose a row of an account is, services/accounts.py asks.
"""

from __future__ import annotations

from sqlalchemy import ColumnElement, true

from usermgmt.models import (
    DOMAIN_ADMIN,
    OWNER,
    Admin,
    Alias,
    ApiToken,
    Domain,
    Mailbox,
    MailReport,
    SenderRule,
)

Account = Admin | Mailbox
Thing = Domain | Mailbox | Alias | MailReport | SenderRule

#: What the owner of a mailbox reaches, if it is of their own mailbox.
OF_PEOPLE = (MailReport, SenderRule)

ADMINS = frozenset({OWNER, DOMAIN_ADMIN})
OWNERS = frozenset({OWNER})
#: The role of whoever owns a mailbox and administers nothing.
USER = "user"
EVERYBODY = ADMINS | {USER}

#: Action to the roles that may do it; a domain admin only within their domains.
ACTIONS = {
    "overview.list": ADMINS,
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
    "token.manage": OWNERS,
    "directory.import": ADMINS,
    "directory.export": ADMINS,
    "audit.list": ADMINS,
    "mail.list": EVERYBODY,
    "mail.move": EVERYBODY,
    "report.list": ADMINS,
    "account.own": EVERYBODY,
    "account.own-mail": frozenset({USER}),
    "webmail.open": frozenset({USER}),
    "sender.list": EVERYBODY,
    "sender.add": EVERYBODY,
    "sender.delete": EVERYBODY,
}

#: What is about the whole server: a token of one domain may not do it.
WHOLE_SERVER = frozenset({"domain.add", "admin.manage", "token.manage"})
#: What a token may be given: reading a kind of things, or changing it, which includes reading. Admins and
#: tokens have none: a program that could make them could give itself everything.
SCOPES = tuple(
    f"{kind}:{verb}"
    for kind in ("domain", "mailbox", "alias", "mail", "sender")
    for verb in ("read", "write")
)
SCOPES += ("audit:read", "overview:read", "report:read")
#: What is more than one thing at once.
COMBINED = {
    "directory.import": ("mailbox.add", "alias.add"),
    "directory.export": ("mailbox.list", "alias.list"),
}


def covers(token: ApiToken, action: str) -> bool:
    """Whether an action is within a token's scopes."""
    if action in COMBINED:
        return all(covers(token, each) for each in COMBINED[action])
    kind, _, verb = action.partition(".")
    words = token.scopes.split()
    if token.domain_id is not None and action in WHOLE_SERVER:
        return False
    return f"{kind}:write" in words or (verb == "list" and f"{kind}:read" in words)


def scope(account: Account | None, token: ApiToken | None = None) -> frozenset[int] | None:
    """The ids of the domains that the account, with its token, administers; None for all of them."""
    if not isinstance(account, Admin):
        return frozenset()
    domains = None if account.role == OWNER else frozenset(domain.id for domain in account.domains)
    if token is None or token.domain_id is None:
        return domains
    return frozenset({token.domain_id} if domains is None else {token.domain_id} & domains)


def domain_of_thing(thing: Thing) -> int:
    """The id of the domain that a thing belongs to; 0, which none has, for the whole server's."""
    return thing.id if isinstance(thing, Domain) else thing.domain_id or 0


def may(
    account: Account | None, action: str, thing: Thing | None = None, token: ApiToken | None = None
) -> bool:
    """Whether the account may do `action`, to `thing` if it is about one. Nobody may what has no row.

    With a token of a program: what its scopes say, and never more than the account itself.
    """
    if account is None or not account.active:
        return False
    if (account.role if isinstance(account, Admin) else USER) not in ACTIONS.get(action, frozenset()):
        return False
    if isinstance(account, Mailbox):
        return thing is None or (isinstance(thing, OF_PEOPLE) and thing.mailbox_id == account.id)
    if token is not None and not covers(token, action):
        return False
    domains = scope(account, token)
    return thing is None or domains is None or domain_of_thing(thing) in domains


def own_mail(account: Account, token: ApiToken | None = None) -> ColumnElement[bool]:
    """Which rows of mail_reports the account, with its token, may see, as a condition."""
    if isinstance(account, Mailbox):
        return MailReport.mailbox_id == account.id
    domains = scope(account, token)
    return true() if domains is None else MailReport.domain_id.in_(domains)


def own_senders(account: Account, token: ApiToken | None = None) -> ColumnElement[bool]:
    """Which rows of sender_rules the account, with its token, may see, as a condition."""
    if isinstance(account, Mailbox):
        return SenderRule.mailbox_id == account.id
    domains = scope(account, token)
    return true() if domains is None else SenderRule.domain_id.in_(domains)
