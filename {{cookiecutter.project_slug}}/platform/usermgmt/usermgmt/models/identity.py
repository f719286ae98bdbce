"""What is known of a provider that says who somebody is."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, String
from sqlalchemy.orm import Mapped, mapped_column

from usermgmt.models.base import MOMENT, TABLE_OPTIONS, Base


class IdentityKeys(Base):
    """The public keys (JWK) of a provider, as mailctl last fetched them on the host."""

    __tablename__ = "identity_keys"
    __table_args__ = TABLE_OPTIONS

    issuer: Mapped[str] = mapped_column(String(255), primary_key=True)
    fetched_at: Mapped[datetime] = mapped_column(MOMENT)
    keys: Mapped[list[dict[str, Any]]] = mapped_column(JSON)
