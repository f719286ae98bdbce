"""Allowed and blocked senders. Only adds a table."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

GRANT = "SELECT, INSERT, UPDATE, DELETE ON sender_rules TO usermgmt"


def address(length: int) -> mysql.VARCHAR:
    """Compared byte by byte, as everywhere."""
    return mysql.VARCHAR(length, charset="utf8mb4", collation="utf8mb4_bin")


def upgrade() -> None:
    """Add, then grant."""
    owners = {
        name: sa.ForeignKey(f"{table}.id", name=f"fk_sender_rules_{name}", ondelete="CASCADE")
        for name, table in (("domain_id", "domains"), ("mailbox_id", "mailboxes"))
    }
    op.create_table(
        "sender_rules",
        sa.Column("id", sa.Integer(), primary_key=True, nullable=False),
        sa.Column("scope", sa.String(24), nullable=False),
        *(sa.Column(name, sa.Integer(), key, nullable=True) for name, key in owners.items()),
        sa.Column("pattern", address(320), nullable=False),
        sa.Column("kind", sa.String(8), nullable=False),
        sa.Column("note", sa.String(200), server_default="", nullable=False),
        sa.Column("created_by", address(320), nullable=False),
        sa.Column("created_at", mysql.DATETIME(fsp=6), nullable=False),
        sa.UniqueConstraint("scope", "pattern", name="uq_sender_rules_scope"),
        mariadb_engine="InnoDB",
        mariadb_charset="utf8mb4",
    )
    for name in owners:
        op.create_index(f"ix_sender_rules_{name}", "sender_rules", [name])
    op.execute(f"GRANT {GRANT}")


def downgrade() -> None:
    """Take back the right and remove the table with all that it holds."""
    op.execute(f"REVOKE {GRANT.replace(' TO ', ' FROM ')}")
    op.drop_table("sender_rules")
