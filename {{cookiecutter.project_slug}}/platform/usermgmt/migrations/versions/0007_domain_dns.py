"""What public DNS said of each domain's records. Only adds a table."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

GRANT = "SELECT, INSERT, UPDATE, DELETE ON domain_dns TO usermgmt"


def upgrade() -> None:
    """Add, then grant."""
    domain = sa.ForeignKey("domains.id", name="fk_domain_dns_domain_id", ondelete="CASCADE")
    op.create_table(
        "domain_dns",
        sa.Column("domain_id", sa.Integer(), domain, primary_key=True, autoincrement=False, nullable=False),
        sa.Column("checked_at", mysql.DATETIME(fsp=6), nullable=False),
        sa.Column("records", sa.JSON(), nullable=False),
        mariadb_engine="InnoDB",
        mariadb_charset="utf8mb4",
    )
    op.execute(f"GRANT {GRANT}")


def downgrade() -> None:
    """Take back the right and remove the table with all that it holds."""
    op.execute(f"REVOKE {GRANT.replace(' TO ', ' FROM ')}")
    op.drop_table("domain_dns")
