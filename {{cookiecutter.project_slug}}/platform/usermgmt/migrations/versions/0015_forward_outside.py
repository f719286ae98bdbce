"""Addresses outside this server that a mailbox forwards to. Only adds a column."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column; Dovecot may not read it."""
    address = mysql.VARCHAR(1300, charset="utf8mb4", collation="utf8mb4_bin")
    op.add_column("mail_rules", sa.Column("forward_outside", address, server_default="", nullable=False))


def downgrade() -> None:
    """Remove the column: nothing is forwarded outside any more."""
    op.drop_column("mail_rules", "forward_outside")
