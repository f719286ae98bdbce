"""Indexes that hold all that a search in mailboxes or aliases reads."""

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

INDEXES = {
    "mailboxes": ["email", "display_name", "deleted_at", "domain_id"],
    "aliases": ["source", "destination", "domain_id"],
}


def upgrade() -> None:
    """Add them."""
    for table, columns in INDEXES.items():
        op.create_index(f"ix_{table}_search", table, columns)


def downgrade() -> None:
    """Remove them."""
    for table in INDEXES:
        op.drop_index(f"ix_{table}_search", table)
