"""Domains, mailboxes, aliases, admins, the audit log, and what each service may read of them.

The database accounts exist before this runs (config/mariadb/initdb/10-accounts.sh). The tables are
spelled out here, not taken from the models: a migration must stay what it was when models move on.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

OPTIONS = {"mariadb_engine": "InnoDB", "mariadb_charset": "utf8mb4"}
NOW = sa.func.current_timestamp(6)

# An account without a host is that account at any host; a literal percent sign would be doubled offline.
# Least rights: postfix never sees a hash, nobody but the owner changes the schema, and usermgmt can
# neither alter nor remove what it wrote into the audit log.
GRANTS = (
    "SELECT (id, name, active) ON domains TO postfix",
    "SELECT (id, domain_id, email, active) ON mailboxes TO postfix",
    "SELECT (id, domain_id, source, destination, active) ON aliases TO postfix",
    "SELECT (id, name, active) ON domains TO dovecot",
    "SELECT (id, domain_id, email, password_hash, quota_bytes, active) ON mailboxes TO dovecot",
    "SELECT, INSERT, UPDATE, DELETE ON domains TO usermgmt",
    "SELECT, INSERT, UPDATE, DELETE ON mailboxes TO usermgmt",
    "SELECT, INSERT, UPDATE, DELETE ON aliases TO usermgmt",
    "SELECT, INSERT, UPDATE, DELETE ON admins TO usermgmt",
    "SELECT, INSERT ON audit_log TO usermgmt",
    "SELECT ON alembic_version TO usermgmt",
)


def exact(length: int) -> mysql.VARCHAR:
    """Text that is compared byte by byte, as addresses must be."""
    return mysql.VARCHAR(length, charset="utf8mb4", collation="utf8mb4_bin")


def moment(name: str) -> sa.Column:
    """A UTC time with microseconds that defaults to now."""
    return sa.Column(name, mysql.DATETIME(fsp=6), server_default=NOW, nullable=False)


def active() -> sa.Column:
    """The switch that every account row has."""
    return sa.Column("active", sa.Boolean(), server_default=sa.true(), nullable=False)


def row_id(kind: type[sa.Integer] = sa.Integer) -> sa.Column:
    """The primary key."""
    return sa.Column("id", kind(), primary_key=True, autoincrement=True, nullable=False)


def domain_id(table: str) -> sa.Column:
    """The domain a row belongs to; a domain that is in use cannot be removed."""
    key = sa.ForeignKey("domains.id", name=f"fk_{table}_domain_id")
    return sa.Column("domain_id", sa.Integer(), key, nullable=False)


def create_directory_tables() -> None:
    """The tables that postfix and dovecot look addresses up in."""
    op.create_table(
        "domains",
        row_id(),
        sa.Column("name", exact(253), nullable=False),
        active(),
        moment("created_at"),
        sa.UniqueConstraint("name", name="uq_domains_name"),
        **OPTIONS,
    )
    op.create_table(
        "mailboxes",
        row_id(),
        domain_id("mailboxes"),
        sa.Column("email", exact(320), nullable=False),
        sa.Column("password_hash", sa.String(255), nullable=False),
        sa.Column("display_name", sa.String(255), server_default="", nullable=False),
        sa.Column("quota_bytes", sa.BigInteger(), nullable=False),
        active(),
        moment("created_at"),
        moment("updated_at"),
        sa.UniqueConstraint("email", name="uq_mailboxes_email"),
        sa.CheckConstraint("quota_bytes > 0", name=op.f("ck_mailboxes_quota_positive")),
        **OPTIONS,
    )
    op.create_table(
        "aliases",
        row_id(),
        domain_id("aliases"),
        sa.Column("source", exact(320), nullable=False),
        sa.Column("destination", exact(320), nullable=False),
        active(),
        moment("created_at"),
        sa.UniqueConstraint("source", "destination", name="uq_aliases_source"),
        **OPTIONS,
    )


def create_administration_tables() -> None:
    """The tables of the people who administer the directory."""
    op.create_table(
        "admins",
        row_id(),
        sa.Column("email", exact(320), nullable=False),
        sa.Column("password_hash", sa.String(255), nullable=False),
        active(),
        moment("created_at"),
        sa.UniqueConstraint("email", name="uq_admins_email"),
        **OPTIONS,
    )
    op.create_table(
        "audit_log",
        row_id(sa.BigInteger),
        moment("at"),
        sa.Column("actor", exact(320), nullable=False),
        sa.Column("action", sa.String(64), nullable=False),
        sa.Column("subject", exact(320), nullable=False),
        sa.Column("detail", sa.JSON(), nullable=False),
        sa.Column("client_address", sa.String(45), server_default="", nullable=False),
        **OPTIONS,
    )


def upgrade() -> None:
    """Create everything, then grant."""
    create_directory_tables()
    create_administration_tables()
    op.create_index("ix_mailboxes_domain_id", "mailboxes", ["domain_id"])
    op.create_index("ix_aliases_domain_id", "aliases", ["domain_id"])
    op.create_index("ix_aliases_destination", "aliases", ["destination"])
    op.create_index("ix_audit_log_subject_action_at", "audit_log", ["subject", "action", "at"])
    op.create_index("ix_audit_log_client_address_action_at", "audit_log", ["client_address", "action", "at"])
    for grant in GRANTS:
        op.execute(f"GRANT {grant}")


def downgrade() -> None:
    """Take back the rights and remove the tables with all that they hold."""
    for grant in reversed(GRANTS):
        op.execute(f"REVOKE {grant.replace(' TO ', ' FROM ')}")
    for table in ("audit_log", "admins", "aliases", "mailboxes", "domains"):
        op.drop_table(table)
