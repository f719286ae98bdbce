"""Roles, second factors, app passwords, sessions, tokens, log-in attempts, limits of domains, homes.

Only adds: code that knows nothing of it reads and writes the older columns as before.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

OPTIONS = {"mariadb_engine": "InnoDB", "mariadb_charset": "utf8mb4"}
NOW = sa.func.current_timestamp(6)
MOMENT = mysql.DATETIME(fsp=6)
DIGEST = sa.String(64)

# Dovecot notes when an app password was used, with INSERT … ON DUPLICATE KEY UPDATE, the only statement that
# both writes and answers. It can add no row: it may not fill in mailbox_id, which has no default.
GRANTS = (
    "SELECT (deleted_at) ON mailboxes TO postfix",
    "SELECT (may_send) ON aliases TO postfix",
    "SELECT (home, deleted_at, two_factor) ON mailboxes TO dovecot",
    "SELECT (id, mailbox_id, password_hash, last_used_at) ON app_passwords TO dovecot",
    "INSERT (id), UPDATE (id, last_used_at) ON app_passwords TO dovecot",
    *(
        f"SELECT, INSERT, UPDATE, DELETE ON {table} TO usermgmt"
        for table in (
            "admin_domains",
            "login_attempts",
            "app_passwords",
            "totp_secrets",
            "passkeys",
            "recovery_codes",
            "password_links",
            "web_sessions",
            "api_tokens",
        )
    ),
)


def exact(length: int) -> mysql.VARCHAR:
    """Text that is compared byte by byte, as addresses must be."""
    return mysql.VARCHAR(length, charset="utf8mb4", collation="utf8mb4_bin")


def number(name: str, default: str) -> sa.Column:
    """A number that older code leaves out."""
    return sa.Column(name, sa.Integer(), server_default=default, nullable=False)


def switch(name: str, default: sa.ColumnElement[bool]) -> sa.Column:
    """A yes or no that older code leaves out."""
    return sa.Column(name, sa.Boolean(), server_default=default, nullable=False)


def moment(name: str) -> sa.Column:
    """A UTC time with microseconds, unknown until it happens."""
    return sa.Column(name, MOMENT, nullable=True)


def choices() -> tuple[sa.Column, sa.Column]:
    """Language and time zone that a person chose; NULL follows the browser."""
    return sa.Column("language", sa.String(16)), sa.Column("timezone", sa.String(64))


NEW_COLUMNS = {
    "domains": (
        number("version", "1"),
        sa.Column("default_quota_bytes", sa.BigInteger()),
        sa.Column("most_mailboxes", sa.Integer()),
        sa.Column("most_aliases", sa.Integer()),
    ),
    "mailboxes": (
        number("version", "1"),
        sa.Column("home", exact(340)),
        moment("deleted_at"),
        switch("two_factor", sa.false()),
        moment("last_login_at"),
        moment("sessions_ended_at"),
        *choices(),
    ),
    "aliases": (number("version", "1"), switch("may_send", sa.true())),
    "admins": (
        # Whoever is an admin today may do everything, and so may one whom older code adds.
        sa.Column("role", sa.String(16), server_default="owner", nullable=False),
        number("version", "1"),
        moment("sessions_ended_at"),
        *choices(),
    ),
    "audit_log": (sa.Column("domain", exact(253), server_default="", nullable=False),),
}

OWNED = {
    "totp_secrets": (
        sa.Column("secret", sa.String(64), nullable=False),
        moment("confirmed_at"),
        sa.Column("last_step", sa.Integer()),
    ),
    "passkeys": (
        sa.Column("name", sa.String(100), nullable=False),
        sa.Column("credential_id", mysql.VARBINARY(1023), nullable=False),
        sa.Column("public_key", mysql.VARBINARY(2048), nullable=False),
        number("sign_count", "0"),
        moment("last_used_at"),
    ),
    "recovery_codes": (sa.Column("code_hash", sa.String(255), nullable=False), moment("used_at")),
    "password_links": (
        sa.Column("token_hash", DIGEST, nullable=False),
        sa.Column("expires_at", MOMENT, nullable=False),
        moment("used_at"),
    ),
    "web_sessions": (
        sa.Column("token_hash", DIGEST, nullable=False),
        sa.Column("last_seen_at", MOMENT, server_default=NOW, nullable=False),
        sa.Column("client_address", sa.String(45), server_default="", nullable=False),
        sa.Column("user_agent", sa.String(255), server_default="", nullable=False),
    ),
    "api_tokens": (
        sa.Column("name", sa.String(100), nullable=False),
        sa.Column("token_hash", DIGEST, nullable=False),
        sa.Column("scopes", sa.String(255), nullable=False),
        moment("expires_at"),
        moment("last_used_at"),
    ),
}

UNIQUE = {
    "passkeys": "credential_id",
    "password_links": "token_hash",
    "web_sessions": "token_hash",
    "api_tokens": "token_hash",
}


def row_id(kind: type[sa.Integer] = sa.Integer) -> sa.Column:
    """The primary key."""
    return sa.Column("id", kind(), primary_key=True, autoincrement=True, nullable=False)


def belongs_to(table: str, other: str, column: str, *, needed: bool = False) -> sa.Column:
    """A reference whose row goes with the other."""
    key = sa.ForeignKey(f"{other}.id", name=f"fk_{table}_{column}", ondelete="CASCADE")
    return sa.Column(column, sa.Integer(), key, nullable=not needed)


def created() -> sa.Column:
    """When the row was made."""
    return sa.Column("created_at", MOMENT, server_default=NOW, nullable=False)


def create_owned(table: str, columns: tuple[sa.Column, ...]) -> None:
    """A table whose rows belong to an admin or to a mailbox, and to one of them only."""
    unique = (
        [sa.UniqueConstraint(UNIQUE[table], name=f"uq_{table}_{UNIQUE[table]}")] if table in UNIQUE else []
    )
    owners = [belongs_to(table, "admins", "admin_id"), belongs_to(table, "mailboxes", "mailbox_id")]
    domain = [belongs_to(table, "domains", "domain_id")] if table == "api_tokens" else []
    one_owner = sa.CheckConstraint(
        "(admin_id IS NULL) <> (mailbox_id IS NULL)", name=op.f(f"ck_{table}_one_owner")
    )
    op.create_table(table, row_id(), *owners, created(), *columns, *domain, *unique, one_owner, **OPTIONS)
    for column in (*owners, *domain):
        op.create_index(f"ix_{table}_{column.name}", table, [column.name])


def create_others() -> None:
    """Domains of admins, app passwords, attempts."""
    op.create_table(
        "admin_domains",
        belongs_to("admin_domains", "admins", "admin_id", needed=True),
        belongs_to("admin_domains", "domains", "domain_id", needed=True),
        sa.PrimaryKeyConstraint("admin_id", "domain_id"),
        **OPTIONS,
    )
    op.create_index("ix_admin_domains_domain_id", "admin_domains", ["domain_id"])
    op.create_table(
        "app_passwords",
        row_id(),
        belongs_to("app_passwords", "mailboxes", "mailbox_id", needed=True),
        sa.Column("name", sa.String(100), nullable=False),
        sa.Column("password_hash", DIGEST, nullable=False),
        created(),
        moment("last_used_at"),
        sa.UniqueConstraint("password_hash", name="uq_app_passwords_password_hash"),
        **OPTIONS,
    )
    op.create_index("ix_app_passwords_mailbox_id", "app_passwords", ["mailbox_id"])
    op.create_table(
        "login_attempts",
        row_id(sa.BigInteger),
        sa.Column("at", MOMENT, server_default=NOW, nullable=False),
        sa.Column("account", exact(320), nullable=False),
        sa.Column("client_address", sa.String(45), server_default="", nullable=False),
        sa.Column("device", sa.String(64), server_default="", nullable=False),
        sa.Column("outcome", sa.String(16), server_default="pending", nullable=False),
        **OPTIONS,
    )
    for column in ("account", "client_address", "outcome"):
        op.create_index(f"ix_login_attempts_{column}", "login_attempts", [column, "at"])


def upgrade() -> None:
    """Add, then grant."""
    for table, columns in NEW_COLUMNS.items():
        for column in columns:
            op.add_column(table, column)
    op.create_check_constraint(op.f("ck_admins_role"), "admins", "role IN ('owner', 'domain-admin')")
    op.create_index("ix_mailboxes_deleted_at", "mailboxes", ["deleted_at"])
    op.create_index("ix_audit_log_domain", "audit_log", ["domain", "id"])
    op.create_index("ix_audit_log_actor", "audit_log", ["actor", "id"])
    create_others()
    for table, columns in OWNED.items():
        create_owned(table, columns)
    for grant in GRANTS:
        op.execute(f"GRANT {grant}")


def downgrade() -> None:
    """Take back the rights, and remove what was added with all that it holds."""
    for grant in reversed(GRANTS):
        op.execute(f"REVOKE {grant.replace(' TO ', ' FROM ')}")
    for table in (*reversed(OWNED), "login_attempts", "app_passwords", "admin_domains"):
        op.drop_table(table)
    op.drop_constraint(op.f("ck_admins_role"), "admins", type_="check")
    for index, table in (
        ("ix_audit_log_actor", "audit_log"),
        ("ix_audit_log_domain", "audit_log"),
        ("ix_mailboxes_deleted_at", "mailboxes"),
    ):
        op.drop_index(index, table_name=table)
    for table, columns in NEW_COLUMNS.items():
        for column in reversed(columns):
            op.drop_column(table, column.name)
