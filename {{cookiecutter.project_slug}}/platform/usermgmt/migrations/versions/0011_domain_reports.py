"""What other servers report about our domains: DMARC and TLS. Only adds two tables."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

EXACT = mysql.VARCHAR(253, charset="utf8mb4", collation="utf8mb4_bin")
# A report is kept or deleted, never changed; its rows go with it.
GRANTS = ("SELECT, INSERT, DELETE ON domain_reports", "SELECT, INSERT ON domain_report_rows")
REPORT = {
    "kind": sa.String(8),
    "reporter": EXACT,
    "digest": sa.String(64),
    "day": sa.Date(),
    "received_at": mysql.DATETIME(fsp=6),
    "policy": sa.String(16),
}
ROW = {
    "source": EXACT,
    "header_from": EXACT,
    "verdict": sa.String(32),
    "about": EXACT,
    "disposition": sa.String(16),
    "count": sa.BigInteger(),
}


def create(name: str, owner: str, column: str, kind: sa.Integer, columns: dict[str, object]) -> None:
    """A table whose rows go with the row that they belong to."""
    key = sa.ForeignKey(f"{owner}.id", name=f"fk_{name}_{column}", ondelete="CASCADE")
    op.create_table(
        name,
        sa.Column("id", sa.BigInteger(), primary_key=True, autoincrement=True, nullable=False),
        sa.Column(column, kind, key, nullable=False),
        *(sa.Column(each, form, nullable=False) for each, form in columns.items()),
        mariadb_engine="InnoDB",
        mariadb_charset="utf8mb4",
    )


def upgrade() -> None:
    """Add, then grant."""
    create("domain_reports", "domains", "domain_id", sa.Integer(), REPORT)
    op.create_index("ix_domain_reports_domain_id", "domain_reports", ["domain_id", "day"])
    op.create_index("ix_domain_reports_day", "domain_reports", ["day"])
    op.create_unique_constraint("uq_domain_reports_digest", "domain_reports", ["digest"])
    create("domain_report_rows", "domain_reports", "report_id", sa.BigInteger(), ROW)
    op.create_index("ix_domain_report_rows_report_id", "domain_report_rows", ["report_id"])
    for grant in GRANTS:
        op.execute(f"GRANT {grant} TO usermgmt")


def downgrade() -> None:
    """Take back the rights, and remove the tables with all that they hold."""
    for grant in GRANTS:
        op.execute(f"REVOKE {grant} FROM usermgmt")
    op.drop_table("domain_report_rows")
    op.drop_table("domain_reports")
