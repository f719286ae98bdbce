"""Where each mailbox is stored, for several hosts: shards, and mailboxes on their way from one to another.

Only adds: on one host all mailboxes are of the same shard, and nothing asks.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

TABLES = {"mariadb_engine": "InnoDB", "mariadb_charset": "utf8mb4"}
GRANTS = (
    "SELECT (shard, volume) ON mailboxes TO dovecot",
    "SELECT (shard) ON mailboxes TO postfix",
    "SELECT (name) ON shards TO dovecot",
    "SELECT (mailbox_id, source, source_volume, target_volume) ON mailbox_moves TO dovecot",
    "SELECT, INSERT, UPDATE ON shards TO usermgmt",
    "SELECT, INSERT, UPDATE, DELETE ON mailbox_moves TO usermgmt",
)


def _name() -> mysql.VARCHAR:
    return mysql.VARCHAR(32, charset="utf8mb4", collation="utf8mb4_bin")


def upgrade() -> None:
    """Add, then grant."""
    op.add_column("mailboxes", sa.Column("shard", _name(), server_default="a", nullable=False))
    op.add_column("mailboxes", sa.Column("volume", _name(), server_default="a", nullable=False))
    op.create_index("ix_mailboxes_shard", "mailboxes", ["shard"])
    op.create_table(
        "shards",
        sa.Column("name", _name(), primary_key=True, nullable=False),
        sa.Column("node", sa.String(63), nullable=False),
        sa.Column("open", sa.Boolean(), server_default=sa.true(), nullable=False),
        **TABLES,
    )
    mailbox = sa.ForeignKey("mailboxes.id", name="fk_mailbox_moves_mailbox_id", ondelete="CASCADE")
    op.create_table(
        "mailbox_moves",
        sa.Column("mailbox_id", sa.Integer(), mailbox, primary_key=True, nullable=False),
        sa.Column("source", _name(), nullable=False),
        sa.Column("source_volume", _name(), nullable=False),
        sa.Column("target", _name(), nullable=False),
        sa.Column("target_volume", _name(), nullable=False),
        sa.Column("asked_at", mysql.DATETIME(fsp=6), nullable=False),
        sa.Column("flipped_at", mysql.DATETIME(fsp=6), nullable=True),
        sa.Column("merged_at", mysql.DATETIME(fsp=6), nullable=True),
        sa.Column("again_at", mysql.DATETIME(fsp=6), nullable=False),
        sa.Column("trouble", sa.String(255), server_default="", nullable=False),
        sa.Column("seen", sa.String(64), server_default="", nullable=False),
        **TABLES,
    )
    for grant in GRANTS:
        op.execute(f"GRANT {grant}")


def downgrade() -> None:
    """Take back the rights and remove what was added. Only where all mail is on one host again."""
    for grant in GRANTS:
        op.execute(f"REVOKE {grant.replace(' TO ', ' FROM ')}")
    op.drop_table("mailbox_moves")
    op.drop_table("shards")
    op.drop_index("ix_mailboxes_shard", "mailboxes")
    op.drop_column("mailboxes", "volume")
    op.drop_column("mailboxes", "shard")
