"""From which score a person's mail goes to Junk. Only adds a column."""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column: usermgmt's right is on the table."""
    op.add_column("mail_rules", sa.Column("junk_from", sa.Integer(), nullable=True))


def downgrade() -> None:
    """Remove it with what it holds."""
    op.drop_column("mail_rules", "junk_from")
