"""Requests with an Idempotency-Key: the first one is done, the same one again gets the first one's answer.

Each key belongs to a token, for 24 hours. Only what succeeded is kept: what was refused changed nothing.
"""

from __future__ import annotations

import hmac
import zlib
from base64 import urlsafe_b64encode
from datetime import timedelta

from cryptography.fernet import Fernet
from sqlalchemy import delete, func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from usermgmt.models import ApiToken, IdempotencyKey, utc_now

KEEP = timedelta(hours=24)
#: Of a token; each is a request within a day.
MOST_KEYS = 10_000
#: A process lives no longer than a minute without an answer (gunicorn.conf.py): after this it ended half-way.
#: Its request is done again then; what it had added has a name, which cannot be added twice.
LEASE = timedelta(minutes=2)


class Reused(Exception):
    """The key came with another request before."""


class Busy(Exception):
    """The request with this key is being answered now."""


class Full(Exception):
    """The token has too many keys."""


class Keyring:
    """What token and key make together. Nothing of it is kept, so a copy of the table tells nothing."""

    def __init__(self, secret: str, key: str) -> None:
        self._secret, self.key = secret.encode(), key
        self._fernet = Fernet(urlsafe_b64encode(self._mac(b"answer", key.encode())))

    def _mac(self, purpose: bytes, data: bytes) -> bytes:
        return hmac.digest(self._secret, purpose + b"\0" + data, "sha256")

    def key_hash(self) -> str:
        """How the key is kept."""
        return self._mac(b"key", self.key.encode()).hex()

    def request_hash(self, request: bytes) -> str:
        """How a request is kept: a password in it cannot be guessed from that."""
        return self._mac(b"request", request).hex()

    def seal(self, answer: bytes) -> bytes:
        """How an answer is kept."""
        return self._fernet.encrypt(zlib.compress(answer))

    def open(self, sealed: bytes) -> bytes:
        """The answer."""
        return zlib.decompress(self._fernet.decrypt(sealed))


def claim(session: Session, token: ApiToken, keys: Keyring, request: bytes) -> tuple[int, bytes | None]:
    """The number of the row, and the answer if the request was done before; without one, it is yours to do.

    Raises Reused, Busy or Full.
    """
    now = utc_now()
    session.execute(delete(IdempotencyKey).where(IdempotencyKey.created_at < now - KEEP))
    mine = IdempotencyKey.token_id == token.id
    known = select(IdempotencyKey).where(mine, IdempotencyKey.key_hash == keys.key_hash())
    row = session.scalar(known.with_for_update())
    wanted = keys.request_hash(request)
    if row is None:
        if (session.scalar(select(func.count(IdempotencyKey.id)).where(mine)) or 0) >= MOST_KEYS:
            raise Full
        row = IdempotencyKey(token_id=token.id, key_hash=keys.key_hash(), request_hash=wanted)
        session.add(row)
        try:
            session.flush()
        except IntegrityError as error:
            raise Busy from error
    elif row.request_hash != wanted:
        raise Reused
    elif row.answer is None:
        if row.claimed_at > now - LEASE:
            raise Busy
        row.claimed_at = now
    return row.id, keys.open(row.answer) if row.answer is not None else None


def finish(session: Session, number: int, answer: bytes | None) -> None:
    """Keep the sealed answer; without one, forget the key: nothing was done."""
    row = session.get(IdempotencyKey, number)
    if row is not None and answer is not None:
        row.answer = answer
    elif row is not None:
        session.delete(row)
