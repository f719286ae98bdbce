"""Dovecot notes who got in, and may change nothing else of a mailbox.

Its right to note app passwords another way stays: the configuration of the version before needs it.
"""

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

GRANT = "SELECT (last_login_at), UPDATE (last_login_at) ON mailboxes TO dovecot"


def upgrade() -> None:
    """Grant."""
    op.execute(f"GRANT {GRANT}")


def downgrade() -> None:
    """Take the right back."""
    op.execute(f"REVOKE {GRANT.replace(' TO ', ' FROM ')}")
