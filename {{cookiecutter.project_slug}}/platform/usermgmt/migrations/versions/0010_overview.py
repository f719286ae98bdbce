"""What the overview draws: counts of mail, the host's report, how full mailboxes are. Only adds tables."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

OPTIONS = {"mariadb_engine": "InnoDB", "mariadb_charset": "utf8mb4"}
COUNTED = ("received", "sent", "junk", "refused", "deferred")
GRANTS = (
    f"SELECT, INSERT, DELETE, UPDATE ({', '.join(COUNTED)}) ON mail_counts",
    "SELECT, INSERT, UPDATE ON host_news",
    "SELECT, INSERT, DELETE ON mailbox_usage",
)


def belongs_to(table: str, other: str, column: str) -> sa.Column:
    """A part of the key whose row goes with the other."""
    key = sa.ForeignKey(f"{other}.id", name=f"fk_{table}_{column}", ondelete="CASCADE")
    return sa.Column(column, sa.Integer(), key, primary_key=True, autoincrement=False, nullable=False)


def upgrade() -> None:
    """Add, then grant."""
    op.create_table(
        "mail_counts",
        sa.Column("period", sa.String(5), primary_key=True, nullable=False),
        sa.Column("starts", sa.Date(), primary_key=True, nullable=False),
        belongs_to("mail_counts", "domains", "domain_id"),
        *(sa.Column(name, sa.Integer(), server_default="0", nullable=False) for name in COUNTED),
        **OPTIONS,
    )
    op.create_table(
        "host_news",
        sa.Column("name", sa.String(16), primary_key=True, nullable=False),
        sa.Column("at", mysql.DATETIME(fsp=6), nullable=False),
        sa.Column("document", sa.JSON(), nullable=False),
        **OPTIONS,
    )
    op.create_table(
        "mailbox_usage",
        belongs_to("mailbox_usage", "mailboxes", "mailbox_id"),
        sa.Column("used_bytes", sa.BigInteger(), nullable=False),
        **OPTIONS,
    )
    for grant in GRANTS:
        op.execute(f"GRANT {grant} TO usermgmt")


def downgrade() -> None:
    """Take back the rights, and remove the tables with all that they hold."""
    for grant in GRANTS:
        op.execute(f"REVOKE {grant} FROM usermgmt")
    for table in ("mailbox_usage", "host_news", "mail_counts"):
        op.drop_table(table)
