"""Log-ins of mail programs among the attempts, and the public keys of an outside provider. Only adds.

Code that knows nothing of them writes log-ins of the page, which is what the defaults say.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

GRANT = "SELECT, INSERT, UPDATE, DELETE ON identity_keys TO usermgmt"
COLUMNS = {"via": 16, "guess_hash": 8}


def upgrade() -> None:
    """Add, then grant."""
    for name, length in COLUMNS.items():
        op.add_column("login_attempts", sa.Column(name, sa.String(length), server_default="", nullable=False))
    op.create_table(
        "identity_keys",
        sa.Column("issuer", sa.String(255), primary_key=True, nullable=False),
        sa.Column("fetched_at", mysql.DATETIME(fsp=6), nullable=False),
        sa.Column("keys", sa.JSON(), nullable=False),
        mariadb_engine="InnoDB",
        mariadb_charset="utf8mb4",
    )
    op.execute(f"GRANT {GRANT}")


def downgrade() -> None:
    """Take back the right and remove what was added with all that it holds."""
    op.execute(f"REVOKE {GRANT.replace(' TO ', ' FROM ')}")
    op.drop_table("identity_keys")
    for name in COLUMNS:
        op.drop_column("login_attempts", name)
