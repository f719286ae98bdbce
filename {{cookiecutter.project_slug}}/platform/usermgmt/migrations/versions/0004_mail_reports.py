"""What happened to each mail, as rspamd reported it. Only adds a table."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

OPTIONS = {"mariadb_engine": "InnoDB", "mariadb_charset": "utf8mb4"}
GRANT = "SELECT, INSERT, UPDATE, DELETE ON mail_reports"
INDEXES = (("mailbox_id", "at"), ("domain_id", "at"), ("at",), ("report",))


def exact(length: int) -> mysql.VARCHAR:
    """Text that is compared byte by byte, as addresses must be."""
    return mysql.VARCHAR(length, charset="utf8mb4", collation="utf8mb4_bin")


def belongs_to(other: str, column: str, *, nullable: bool) -> sa.Column:
    """A reference whose row goes with the other."""
    key = sa.ForeignKey(f"{other}.id", name=f"fk_mail_reports_{column}", ondelete="CASCADE")
    return sa.Column(column, sa.Integer(), key, nullable=nullable)


def upgrade() -> None:
    """Add, then grant."""
    op.create_table(
        "mail_reports",
        sa.Column("id", sa.BigInteger(), primary_key=True, autoincrement=True, nullable=False),
        sa.Column("report", sa.String(32), nullable=False),
        sa.Column("at", mysql.DATETIME(fsp=6), nullable=False),
        belongs_to("domains", "domain_id", nullable=False),
        belongs_to("mailboxes", "mailbox_id", nullable=True),
        sa.Column("outbound", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("outcome", sa.String(16), nullable=False),
        sa.Column("sender", exact(320), nullable=False),
        sa.Column("recipient", exact(320), nullable=False),
        sa.Column("subject", sa.String(255), nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("score", sa.Float(), nullable=False),
        sa.Column("threshold", sa.Float(), nullable=False),
        sa.Column("reasons", sa.JSON(), nullable=False),
        sa.Column("key_header", sa.String(32), nullable=False),
        sa.Column("key_value", sa.String(80), nullable=False),
        sa.Column("moved_to", sa.String(16), server_default="", nullable=False),
        **OPTIONS,
    )
    for columns in INDEXES:
        op.create_index(f"ix_mail_reports_{columns[0]}", "mail_reports", list(columns))
    op.execute(f"GRANT {GRANT} TO usermgmt")


def downgrade() -> None:
    """Take back the right, and remove the table with all that it holds."""
    op.execute(f"REVOKE {GRANT} FROM usermgmt")
    op.drop_table("mail_reports")
