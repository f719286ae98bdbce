"""Requests of programs with an Idempotency-Key, and their sealed answers. Only adds a table."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

GRANTS = (
    "SELECT, INSERT, DELETE ON idempotency_keys TO usermgmt",
    "UPDATE (claimed_at, answer) ON idempotency_keys TO usermgmt",
)


def upgrade() -> None:
    """Add, then grant."""
    token = sa.ForeignKey("api_tokens.id", name="fk_idempotency_keys_token_id", ondelete="CASCADE")
    op.create_table(
        "idempotency_keys",
        sa.Column("id", sa.Integer(), primary_key=True, nullable=False),
        sa.Column("token_id", sa.Integer(), token, nullable=False),
        sa.Column("key_hash", sa.String(64), nullable=False),
        sa.Column("request_hash", sa.String(64), nullable=False),
        sa.Column("created_at", mysql.DATETIME(fsp=6), nullable=False),
        sa.Column("claimed_at", mysql.DATETIME(fsp=6), nullable=False),
        sa.Column("answer", mysql.MEDIUMBLOB(), nullable=True),
        sa.UniqueConstraint("token_id", "key_hash", name="uq_idempotency_keys_token_id"),
        mariadb_engine="InnoDB",
        mariadb_charset="utf8mb4",
    )
    op.create_index("ix_idempotency_keys_created_at", "idempotency_keys", ["created_at"])
    for grant in GRANTS:
        op.execute(f"GRANT {grant}")


def downgrade() -> None:
    """Take back the rights and remove the table with all that it holds."""
    for grant in GRANTS:
        op.execute(f"REVOKE {grant.replace(' TO ', ' FROM ')}")
    op.drop_table("idempotency_keys")
