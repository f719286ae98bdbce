"""Logging in by what Cloudflare Access verified, where edge/edge.yml says so (`audience` of an application).

Access signs who somebody is and sends that along with each request. This service has no way out to the
internet, so mailctl fetches the public keys on the host, every night, and hands them in. Access replaces the
password only: whoever has a second factor here is asked for it. Nobody is created unless an application says
`create_mailboxes: true`: then the first log-in makes a mailbox, in a domain that is here, within its limits.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet, RSAKey
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from usermgmt.addresses import domain_of, parse_address
from usermgmt.database import lock_directory
from usermgmt.models import AuditEntry, IdentityKeys, Mailbox, utc_now
from usermgmt.passwords import Hasher, generate_password
from usermgmt.problems import Problem, Refused
from usermgmt.services import dns
from usermgmt.services.accounts import Account, by_address
from usermgmt.services.audit import Actor
from usermgmt.services.directory import find_domain
from usermgmt.services.logins import Login, begin
from usermgmt.services.mailboxes import add_mailbox

log = logging.getLogger("usermgmt.logins")

VIA = "access"
#: Who the audit log says makes mailboxes here, and how many in a day.
ACTOR, MOST_CREATED = "cloudflare-access", 50
#: What Cloudflare signs with; another word in a token's header is not asked.
ALGORITHMS = ["RS256"]
#: For so long Cloudflare's previous key counts beside the next one; older keys may have been withdrawn.
FRESH = timedelta(days=7)
#: Clocks differ.
LEEWAY_SECONDS = 60
PUBLIC = ("kty", "kid", "n", "e", "alg", "use")


class Unproven(Exception):
    """The assertion is none, or not meant for here; the message says why, for the log."""


@dataclass(frozen=True)
class Provider:
    """Who signs, and the application that it signs for."""

    issuer: str
    audience: str
    #: Whether whoever has no mailbox gets one.
    creates: bool = False


@lru_cache(maxsize=4)
def applications(file: Path, _changed: int) -> dict[str, Provider]:
    """Each host that lets people log in by Access; read again when the file has changed."""
    access = (dns.load(file) or {}).get("access") or {}
    issuer = f"https://{access.get('team')}.cloudflareaccess.com"
    rows = [row for row in access.get("applications") or [] if row.get("audience")]
    return {
        str(row["host"]): Provider(issuer, str(row["audience"]), row.get("create_mailboxes") is True)
        for row in rows
    }


def provider_of(file: Path | None, host: str) -> Provider | None:
    """The provider of a host; None where logging in by it is off."""
    try:
        return applications(file, file.stat().st_mtime_ns).get(host) if file else None
    except OSError:
        return None


def keys_of(session: Session, issuer: str) -> KeySet:
    """The keys that were handed in; raises Unproven while there are none, or only old ones."""
    row = session.get(IdentityKeys, issuer)
    if row is None or utc_now() - row.fetched_at > FRESH:
        raise Unproven(f"there are no fresh keys of {issuer}: run make domain-dns on the host")
    return KeySet.import_key_set({"keys": row.keys})


def verified_address(session: Session, provider: Provider, assertion: str) -> str:
    """The address that the provider verified; raises Unproven."""
    needed: jwt.ClaimsOption = {"essential": True}
    claims = jwt.JWTClaimsRegistry(
        leeway=LEEWAY_SECONDS,
        iss={"essential": True, "value": provider.issuer},
        aud={"essential": True, "value": provider.audience},
        type={"essential": True, "value": "app"},
        exp=needed,
        iat=needed,
        email=needed,
    )
    try:
        token = jwt.decode(assertion, keys_of(session, provider.issuer), algorithms=ALGORITHMS)
        claims.validate(token.claims)
        return parse_address(str(token.claims["email"]), "email")
    except (JoseError, ValueError, Refused) as error:
        raise Unproven(str(error)) from error


def create_mailbox(session: Session, hasher: Hasher, address: str, client_address: str) -> Mailbox | None:
    """A mailbox for whom Access verified; None where there may be none, or MOST_CREATED were made today.

    Nobody knows its password: an admin makes a link to choose one, for mail programs.
    """
    domain = find_domain(session, domain_of(address))
    if domain is None or not domain.active:
        return None
    lock_directory(session)
    made = (AuditEntry.actor == ACTOR, AuditEntry.action == "mailbox.add")
    today = select(func.count(AuditEntry.id)).where(*made, AuditEntry.at > utc_now() - timedelta(days=1))
    if (session.scalar(today) or 0) >= MOST_CREATED:
        log.warning("no mailbox for %r: log-ins have made %d today", address, MOST_CREATED)
        return None
    try:
        with session.begin_nested():
            actor = Actor(ACTOR, client_address, frozenset({domain.id}))
            return add_mailbox(session, actor, hasher, address, generate_password(), "")
    except Refused as refusal:
        log.warning("no mailbox for %r: %s", address, refusal)
        return None


def begin_login(session: Session, kind: str, address: str, client_address: str, device: str) -> Login | None:
    """The log-in of the account with this address; None if there is none that may log in.

    No throttle: there is nothing to guess before the second factor, which has its own.
    """
    account: Account | None = by_address(session, kind, address)
    return begin(session, account, client_address, device, VIA) if account else None


def keep_keys(session: Session, issuer: str, document: Any) -> int:
    """Replace a provider's keys by those of its document; returns how many. Raises Refused."""
    keys = document.get("keys") if isinstance(document, dict) else None
    public = [{name: key[name] for name in PUBLIC if name in key} for key in keys or [] if "kid" in key]
    try:
        usable = [key for key in public if RSAKey.import_key(key)]
    except (JoseError, ValueError, TypeError):
        usable = []
    if not usable:
        wrong, instead = "These are no public RSA keys.", "Fetch them again from the provider."
        raise Refused(Problem("keys", issuer, wrong, instead))
    session.merge(IdentityKeys(issuer=issuer, fetched_at=utc_now(), keys=usable))
    return len(usable)
