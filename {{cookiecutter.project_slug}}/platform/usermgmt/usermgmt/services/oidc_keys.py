"""The keys that sign the webmail's tokens (ES256): each for a month, and known as long as its tokens live.

They are in the database, where Dovecot finds the public half of a new one at once. The private half is
encrypted with a key that follows from the session key, which only usermgmt has: with a copy of the database
nobody signs anything.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from datetime import timedelta
from typing import Any

from joserfc import jwe
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, OctKey
from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from usermgmt.models import OidcKey, utc_now

ALGORITHM, CURVE = "ES256", "P-256"
SIGNS_FOR = timedelta(days=30)
#: Long after its last token has expired.
KNOWN_FOR = SIGNS_FOR + timedelta(days=1)
WRAPPING = {"alg": "dir", "enc": "A256GCM"}


def wrapping_key(session_key: str) -> OctKey:
    """What encrypts private keys."""
    return OctKey.import_key(hmac.new(session_key.encode(), b"oidc private keys", hashlib.sha256).digest())


def unwrap(row: OidcKey, session_key: str) -> ECKey | None:
    """The private key of a row; None if it was encrypted with another session key, or is none."""
    try:
        plain = jwe.decrypt_compact(row.private_key, wrapping_key(session_key)).plaintext or b""
    except (JoseError, ValueError):
        return None
    return ECKey.import_key(json.loads(plain), {"kid": row.kid})


def signing_key(session: Session, session_key: str) -> ECKey:
    """The key that signs now; a new one when the last is old, or was encrypted with another session key.

    Two processes may each begin one at the same moment: both are known, and both are right.
    """
    recent = select(OidcKey).where(OidcKey.created_at > utc_now() - SIGNS_FOR)
    for row in session.scalars(recent.order_by(OidcKey.created_at.desc())):
        if key := unwrap(row, session_key):
            return key
    return begin(session, session_key)


def begin(session: Session, session_key: str) -> ECKey:
    """Sign with a new key from now on; keys without a living token are forgotten."""
    session.execute(delete(OidcKey).where(OidcKey.created_at < utc_now() - KNOWN_FOR))
    key = ECKey.generate_key(CURVE)
    kid = key.thumbprint()
    private = json.dumps(key.as_dict(private=True)).encode()
    session.add(
        OidcKey(
            kid=kid,
            public_key=key.as_pem(private=False).decode(),
            private_key=jwe.encrypt_compact(dict(WRAPPING), private, wrapping_key(session_key)),
        )
    )
    return ECKey.import_key(key.as_dict(private=True), {"kid": kid})


def public_keys(session: Session) -> list[dict[str, Any]]:
    """What verifies tokens that may still live, as a JWK set has it."""
    known = select(OidcKey).where(OidcKey.created_at > utc_now() - KNOWN_FOR)
    more = {"use": "sig", "alg": ALGORITHM}
    return [
        {**ECKey.import_key(row.public_key).as_dict(private=False), **more, "kid": row.kid}
        for row in session.scalars(known.order_by(OidcKey.created_at))
    ]
