"""Postfix asks whether somebody forwards to an address outside, where the relay forwards. Only grants."""

from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None

GRANT = "SELECT (mailbox_id, forward_outside) ON mail_rules TO postfix"


def upgrade() -> None:
    """Grant it."""
    op.execute(f"GRANT {GRANT}")


def downgrade() -> None:
    """Take it back."""
    op.execute(f"REVOKE {GRANT.replace(' TO ', ' FROM ')}")
