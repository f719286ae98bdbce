"""What the webmail's log-in leaves behind: the keys that sign its tokens, and the codes and refresh tokens.

A token belongs to a row of web_sessions and goes with it: whoever ends that session ends the webmail too.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey, Integer, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from usermgmt.models.base import MOMENT, TABLE_OPTIONS, Base, utc_now
from usermgmt.models.credentials import DIGEST


class OidcKey(Base):
    """A key that signs tokens.

    Dovecot reads `public_key` (PEM); `private_key` is encrypted (services/oidc_keys.py).
    """

    __tablename__ = "oidc_keys"
    __table_args__ = TABLE_OPTIONS

    kid: Mapped[str] = mapped_column(String(43), primary_key=True)
    public_key: Mapped[str] = mapped_column(Text)
    private_key: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(MOMENT, default=utc_now)


class OidcGrant(Base):
    """A code or a refresh token: good once, and kept until it expires, so that a second use is noticed."""

    __tablename__ = "oidc_grants"
    __table_args__ = TABLE_OPTIONS

    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    session_id: Mapped[int] = mapped_column(ForeignKey("web_sessions.id", ondelete="CASCADE"), index=True)
    kind: Mapped[str] = mapped_column(String(8))
    token_hash: Mapped[str] = mapped_column(DIGEST, unique=True)
    scope: Mapped[str] = mapped_column(String(64))
    expires_at: Mapped[datetime] = mapped_column(MOMENT, index=True)
    used_at: Mapped[datetime | None] = mapped_column(MOMENT)
    #: Of a code only: what its answer must fit (PKCE, OpenID Connect).
    challenge: Mapped[str] = mapped_column(String(128), default="", server_default="")
    nonce: Mapped[str] = mapped_column(String(255), default="", server_default="")
