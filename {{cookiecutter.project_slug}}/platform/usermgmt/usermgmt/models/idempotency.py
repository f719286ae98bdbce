"""What a program did with an Idempotency-Key, so that the same request is not done twice."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey, Integer, LargeBinary, UniqueConstraint
from sqlalchemy.dialects.mysql import MEDIUMBLOB
from sqlalchemy.orm import Mapped, mapped_column

from usermgmt.models.base import MOMENT, TABLE_OPTIONS, Base, utc_now
from usermgmt.models.credentials import DIGEST


class IdempotencyKey(Base):
    """A request with a key, and its answer once there is one.

    Key and request are hashed, and the answer encrypted, with the secret of the token, which is kept nowhere:
    a generated password in it can be read by the program alone that asked for it.
    """

    __tablename__ = "idempotency_keys"
    __table_args__ = (UniqueConstraint("token_id", "key_hash"), TABLE_OPTIONS)

    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    token_id: Mapped[int] = mapped_column(ForeignKey("api_tokens.id", ondelete="CASCADE"))
    key_hash: Mapped[str] = mapped_column(DIGEST)
    request_hash: Mapped[str] = mapped_column(DIGEST)
    created_at: Mapped[datetime] = mapped_column(MOMENT, default=utc_now, index=True)
    #: When the request that is being answered came.
    claimed_at: Mapped[datetime] = mapped_column(MOMENT, default=utc_now)
    answer: Mapped[bytes | None] = mapped_column(LargeBinary().with_variant(MEDIUMBLOB(), "mysql", "mariadb"))
