"""The tables of database `mailserver`. Times are UTC, addresses and names are stored lower-case."""

from usermgmt.models.base import Base, utc_now
from usermgmt.models.credentials import (
    ApiToken,
    AppPassword,
    Passkey,
    PasswordLink,
    RecoveryCode,
    TotpSecret,
    WebSession,
)
from usermgmt.models.directory import Alias, Domain, DomainDns, Mailbox
from usermgmt.models.mail import MailReport
from usermgmt.models.people import DOMAIN_ADMIN, OWNER, Admin, AuditEntry, LoginAttempt, admin_domains
from usermgmt.models.rules import MailRules
from usermgmt.models.senders import SenderRule

__all__ = [
    "DOMAIN_ADMIN",
    "OWNER",
    "Admin",
    "Alias",
    "ApiToken",
    "AppPassword",
    "AuditEntry",
    "Base",
    "Domain",
    "DomainDns",
    "LoginAttempt",
    "MailReport",
    "MailRules",
    "Mailbox",
    "Passkey",
    "PasswordLink",
    "RecoveryCode",
    "SenderRule",
    "TotpSecret",
    "WebSession",
    "admin_domains",
    "utc_now",
]
