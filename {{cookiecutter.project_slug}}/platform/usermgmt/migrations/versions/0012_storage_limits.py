"""How much a domain may store and its admins may give, and an index for lists in any order. Adds columns."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

COLUMNS = ("storage_bytes", "largest_quota_bytes")
BEFORE = ["email", "display_name", "deleted_at", "domain_id"]
# All that a list is searched, filtered and sorted by, so that no row is read but those of the page.
AFTER = [*BEFORE, "active", "quota_bytes", "last_login_at"]


def upgrade() -> None:
    """Add the columns, then widen the index."""
    for name in COLUMNS:
        op.add_column("domains", sa.Column(name, sa.BigInteger(), nullable=True))
    op.drop_index("ix_mailboxes_search", "mailboxes")
    op.create_index("ix_mailboxes_search", "mailboxes", AFTER)


def downgrade() -> None:
    """Remove the limits, and make the index what it was."""
    op.drop_index("ix_mailboxes_search", "mailboxes")
    op.create_index("ix_mailboxes_search", "mailboxes", BEFORE)
    for name in COLUMNS:
        op.drop_column("domains", name)
