"""How people and programs prove who they are. Secrets that need not be read again are kept as hashes."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, Integer, LargeBinary, String
from sqlalchemy.dialects.mysql import VARBINARY
from sqlalchemy.orm import Mapped, declared_attr, mapped_column, relationship

from usermgmt.models.base import MOMENT, TABLE_OPTIONS, Base, utc_now
from usermgmt.models.directory import Domain
from usermgmt.models.people import Admin

#: SHA-256 in hexadecimal digits.
DIGEST = String(64)


def raw(length: int) -> LargeBinary:
    """Bytes that MariaDB can put an index on."""
    return LargeBinary(length).with_variant(VARBINARY(length), "mysql", "mariadb")


class Owned:
    """A row that belongs to an admin or to a mailbox, never to both, and goes with its owner."""

    @declared_attr.directive
    def __table_args__(cls) -> tuple[CheckConstraint | dict[str, str], ...]:
        """Exactly one owner."""
        return (
            CheckConstraint("(admin_id IS NULL) <> (mailbox_id IS NULL)", name="one_owner"),
            TABLE_OPTIONS,
        )

    id: Mapped[int] = mapped_column(Integer, primary_key=True)

    @declared_attr
    def admin_id(cls) -> Mapped[int | None]:
        """The admin who owns the row."""
        return mapped_column(ForeignKey("admins.id", ondelete="CASCADE"), index=True)

    @declared_attr
    def mailbox_id(cls) -> Mapped[int | None]:
        """The mailbox that owns the row."""
        return mapped_column(ForeignKey("mailboxes.id", ondelete="CASCADE"), index=True)

    @declared_attr
    def created_at(cls) -> Mapped[datetime]:
        """When it was made."""
        return mapped_column(MOMENT, default=utc_now)


class AppPassword(Base):
    """A password of one mail program; for IMAP, SMTP and sieve, never for these pages.

    It is made here, long and random, so its SHA-256 is enough, and Dovecot compares that in SQL.
    """

    __tablename__ = "app_passwords"
    __table_args__ = TABLE_OPTIONS

    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    mailbox_id: Mapped[int] = mapped_column(ForeignKey("mailboxes.id", ondelete="CASCADE"), index=True)
    name: Mapped[str] = mapped_column(String(100))
    password_hash: Mapped[str] = mapped_column(DIGEST, unique=True)
    created_at: Mapped[datetime] = mapped_column(MOMENT, default=utc_now)
    last_used_at: Mapped[datetime | None] = mapped_column(MOMENT)


class TotpSecret(Owned, Base):
    """The secret of an authenticator app (base32). `last_step` is the newest step used: none twice."""

    __tablename__ = "totp_secrets"

    secret: Mapped[str] = mapped_column(String(64))
    confirmed_at: Mapped[datetime | None] = mapped_column(MOMENT)
    last_step: Mapped[int | None] = mapped_column(Integer)


class Passkey(Owned, Base):
    """The public half of a WebAuthn credential."""

    __tablename__ = "passkeys"

    name: Mapped[str] = mapped_column(String(100))
    credential_id: Mapped[bytes] = mapped_column(raw(1023), unique=True)
    public_key: Mapped[bytes] = mapped_column(raw(2048))
    sign_count: Mapped[int] = mapped_column(Integer, default=0, server_default="0")
    last_used_at: Mapped[datetime | None] = mapped_column(MOMENT)


class RecoveryCode(Owned, Base):
    """A code that logs in once when the second factor is lost."""

    __tablename__ = "recovery_codes"

    code_hash: Mapped[str] = mapped_column(String(255))
    used_at: Mapped[datetime | None] = mapped_column(MOMENT)


class PasswordLink(Owned, Base):
    """A link that sets a password once."""

    __tablename__ = "password_links"

    token_hash: Mapped[str] = mapped_column(DIGEST, unique=True)
    expires_at: Mapped[datetime] = mapped_column(MOMENT)
    used_at: Mapped[datetime | None] = mapped_column(MOMENT)


class WebSession(Owned, Base):
    """A browser that is logged in to these pages, and perhaps to the webmail by them."""

    __tablename__ = "web_sessions"

    token_hash: Mapped[str] = mapped_column(DIGEST, unique=True)
    last_seen_at: Mapped[datetime] = mapped_column(MOMENT, default=utc_now)
    client_address: Mapped[str] = mapped_column(String(45), default="", server_default="")
    user_agent: Mapped[str] = mapped_column(String(255), default="", server_default="")
    #: When it last opened the webmail; whoever ends it then ends open IMAP sessions too.
    webmail_at: Mapped[datetime | None] = mapped_column(MOMENT)


class ApiToken(Owned, Base):
    """What a program shows to the JSON API. `scopes` are words with spaces between them.

    With `domain_id` it reaches that domain only.
    """

    __tablename__ = "api_tokens"

    name: Mapped[str] = mapped_column(String(100))
    token_hash: Mapped[str] = mapped_column(DIGEST, unique=True)
    scopes: Mapped[str] = mapped_column(String(255))
    domain_id: Mapped[int | None] = mapped_column(ForeignKey("domains.id", ondelete="CASCADE"), index=True)
    admin: Mapped[Admin] = relationship(lazy="joined")
    domain: Mapped[Domain | None] = relationship(lazy="joined")
    expires_at: Mapped[datetime | None] = mapped_column(MOMENT)
    last_used_at: Mapped[datetime | None] = mapped_column(MOMENT)
