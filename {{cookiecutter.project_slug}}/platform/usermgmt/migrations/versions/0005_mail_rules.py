"""Automatic replies and forwards of mailboxes. Only adds a table."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

# Dovecot runs the scripts and reads nothing else of it.
GRANTS = (
    "SELECT, INSERT, UPDATE, DELETE ON mail_rules TO usermgmt",
    "SELECT (mailbox_id, script_id, script) ON mail_rules TO dovecot",
)


def upgrade() -> None:
    """Add, then grant."""
    owner = sa.ForeignKey("mailboxes.id", name="fk_mail_rules_mailbox_id", ondelete="CASCADE")
    op.create_table(
        "mail_rules",
        sa.Column("mailbox_id", sa.Integer(), owner, primary_key=True, autoincrement=False, nullable=False),
        sa.Column("reply", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("reply_subject", sa.String(255), server_default="", nullable=False),
        sa.Column("reply_text", sa.Text(), nullable=False),
        sa.Column("starts_at", mysql.DATETIME(fsp=6), nullable=True),
        sa.Column("ends_at", mysql.DATETIME(fsp=6), nullable=True),
        sa.Column("reply_days", sa.Integer(), server_default="7", nullable=False),
        sa.Column("forward_to", sa.Text(), nullable=False),
        sa.Column("keep_copy", sa.Boolean(), server_default=sa.true(), nullable=False),
        sa.Column("script_id", sa.String(64), nullable=True),
        sa.Column("script", sa.Text(), nullable=True),
        mariadb_engine="InnoDB",
        mariadb_charset="utf8mb4",
    )
    for grant in GRANTS:
        op.execute(f"GRANT {grant}")


def downgrade() -> None:
    """Take back the rights and remove the table with all that it holds."""
    for grant in GRANTS:
        op.execute(f"REVOKE {grant.replace(' TO ', ' FROM ')}")
    op.drop_table("mail_rules")
