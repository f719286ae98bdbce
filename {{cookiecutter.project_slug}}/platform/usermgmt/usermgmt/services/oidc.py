"""What the webmail gets from a log-in here: a code, then short access tokens, and refresh tokens good once.

All of it belongs to one session of the account pages, and ends with it. Dovecot verifies an access token
and asks the database whether its session lasts (config/dovecot/dovecot.conf); that works while this is down.
"""

from __future__ import annotations

import logging
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, KeySet
from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from usermgmt.models import Mailbox, OidcGrant, WebSession, utc_now
from usermgmt.services.accounts import load
from usermgmt.services.oidc_keys import ALGORITHM, public_keys
from usermgmt.services.web_sessions import LONGEST, digest, lasts, seen

log = logging.getLogger("usermgmt.oidc")

#: The one client, and whom its tokens are for: Dovecot, which knows both names.
CLIENT, AUDIENCE = "roundcube", "mail"
SCOPES = ("openid", "mail")
CODE, REFRESH = "code", "refresh"
CODE_LASTS, ACCESS_LASTS = timedelta(minutes=1), timedelta(minutes=10)
#: The webmail asks several things at once, and each may find that it is time to refresh: the same token may
#: come again for so long. After that it was stolen, or whoever stole it was first.
LEEWAY = timedelta(minutes=1)


@dataclass(frozen=True)
class Opened:
    """A session of the account pages that lasts, and the mailbox that is logged in."""

    session_id: int
    mailbox: Mailbox


def opened(session: Session, session_id: int) -> Opened | None:
    """The session with this number, while it lasts and its mailbox may log in. To ask is to use it."""
    row = session.get(WebSession, session_id)
    mailbox = None if row is None or row.mailbox_id is None else load(session, "mailbox", row.mailbox_id)
    if row is None or not lasts(row) or not isinstance(mailbox, Mailbox):
        return None
    if mailbox.sessions_ended_at and row.created_at <= mailbox.sessions_ended_at:
        return None
    seen(row)
    return Opened(row.id, mailbox)


def grant(
    session: Session, kind: str, session_id: int, scope: str, challenge: str = "", nonce: str = ""
) -> str:
    """A new code or refresh token; what is returned is kept nowhere. Those that ran out are cleared away."""
    now, token = utc_now(), secrets.token_urlsafe(32)
    session.execute(delete(OidcGrant).where(OidcGrant.expires_at < now))
    row = OidcGrant(session_id=session_id, kind=kind, token_hash=digest(token), scope=scope)
    row.expires_at = now + (CODE_LASTS if kind == CODE else LONGEST)
    row.challenge, row.nonce = challenge, nonce
    session.add(row)
    if kind == CODE and (web_session := session.get(WebSession, session_id)):
        web_session.webmail_at = now
    return token


def use(session: Session, kind: str, token: str) -> OidcGrant | None:
    """The code or refresh token, used up by this; None if it is none. A second use ends its session."""
    now = utc_now()
    row = session.scalar(
        select(OidcGrant).where(OidcGrant.kind == kind, OidcGrant.token_hash == digest(token))
    )
    if row is None or row.expires_at < now:
        return None
    first = update(OidcGrant).where(OidcGrant.id == row.id, OidcGrant.used_at.is_(None)).values(used_at=now)
    # One statement decides, so that of two at the same moment one is the first.
    done = session.execute(first.execution_options(synchronize_session=False))
    if getattr(done, "rowcount", 0):
        return row
    session.refresh(row)
    if kind == REFRESH and row.used_at and now - row.used_at <= LEEWAY:
        return row
    log.warning("a %s was used twice: session %d of the webmail ends", kind, row.session_id)
    end(session, row.session_id)
    return None


def end(session: Session, session_id: int) -> None:
    """End a session with all its tokens; what it holds open at Dovecot is ended too (mail/sessions.py)."""
    if row := session.get(WebSession, session_id):
        session.delete(row)


def sign(key: ECKey, kind: str, claims: Mapping[str, str]) -> str:
    """A token of that kind, valid from now for ACCESS_LASTS."""
    now = int(time.time())
    times = {"iat": now, "nbf": now, "exp": now + int(ACCESS_LASTS.total_seconds())}
    return jwt.encode({"alg": ALGORITHM, "kid": key.kid, "typ": kind}, {**claims, **times}, key)


def access_token(key: ECKey, issuer: str, person: Opened) -> str:
    """What opens IMAP, submission and sieve; short, since Postfix takes lines of 2,048 characters."""
    about = {"iss": issuer, "aud": AUDIENCE, "azp": CLIENT, "scope": AUDIENCE}
    whose = {"sub": str(person.mailbox.id), "email": person.mailbox.email, "sid": str(person.session_id)}
    return sign(key, "at+jwt", about | whose)


def identity_token(key: ECKey, issuer: str, person: Opened, nonce: str) -> str:
    """Who logged in, for the webmail itself."""
    mailbox, claims = person.mailbox, {"iss": issuer, "aud": CLIENT, "azp": CLIENT}
    claims |= {"sub": str(mailbox.id), "email": mailbox.email, "sid": str(person.session_id)}
    claims |= {"name": mailbox.display_name} if mailbox.display_name else {}
    return sign(key, "JWT", claims | ({"nonce": nonce} if nonce else {}))


def session_of_identity(session: Session, issuer: str, token: str) -> int | None:
    """The session that an identity token of ours names, however old that is; None if it is not ours."""
    claims = claims_of(session, token)
    ours = claims.get("iss") == issuer and claims.get("aud") == CLIENT
    sid = str(claims.get("sid", ""))
    return int(sid) if ours and sid.isdigit() else None


def holder(session: Session, issuer: str, token: str) -> Mailbox | None:
    """Whose access token it is, if Dovecot would take it: in time, and of a session that lasts."""
    claims = claims_of(session, token)
    demanded = jwt.JWTClaimsRegistry(
        exp={"essential": True},
        iss={"essential": True, "value": issuer},
        aud={"essential": True, "value": AUDIENCE},
        scope={"essential": True, "value": AUDIENCE},
    )
    try:
        demanded.validate(claims)
    except JoseError:
        return None
    sid = str(claims.get("sid", ""))
    person = opened(session, int(sid)) if sid.isdigit() else None
    return person.mailbox if person and str(person.mailbox.id) == claims.get("sub") else None


def claims_of(session: Session, token: str) -> dict[str, Any]:
    """What a token says that one of our keys signed, however old it is; nothing if none did."""
    try:
        return jwt.decode(token, KeySet.import_key_set({"keys": public_keys(session)}), [ALGORITHM]).claims
    except (JoseError, ValueError):
        return {}
