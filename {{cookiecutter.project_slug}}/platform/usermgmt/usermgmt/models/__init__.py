"""The tables of database `mailserver`. Times are UTC, addresses and names are stored lower-case."""

from usermgmt.models.base import LARGEST_ID, Base, utc_now
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
from usermgmt.models.idempotency import IdempotencyKey
from usermgmt.models.identity import IdentityKeys
from usermgmt.models.mail import MailReport
from usermgmt.models.oidc import OidcGrant, OidcKey
from usermgmt.models.overview import HostNews, MailboxUsage, MailCount
from usermgmt.models.people import DOMAIN_ADMIN, OWNER, Admin, AuditEntry, LoginAttempt, admin_domains
from usermgmt.models.reports import DomainReport, DomainReportRow
from usermgmt.models.rules import MailRules
from usermgmt.models.senders import SenderRule
from usermgmt.models.shards import FIRST_SHARD, MailboxMove, Shard

__all__ = [
    "DOMAIN_ADMIN",
    "FIRST_SHARD",
    "LARGEST_ID",
    "OWNER",
    "Admin",
    "Alias",
    "ApiToken",
    "AppPassword",
    "AuditEntry",
    "Base",
    "Domain",
    "DomainDns",
    "DomainReport",
    "DomainReportRow",
    "HostNews",
    "IdempotencyKey",
    "IdentityKeys",
    "LoginAttempt",
    "MailCount",
    "MailReport",
    "MailRules",
    "Mailbox",
    "MailboxMove",
    "MailboxUsage",
    "OidcGrant",
    "OidcKey",
    "Passkey",
    "PasswordLink",
    "RecoveryCode",
    "SenderRule",
    "Shard",
    "TotpSecret",
    "WebSession",
    "admin_domains",
    "utc_now",
]
