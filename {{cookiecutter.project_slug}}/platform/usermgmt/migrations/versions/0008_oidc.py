"""Keys, codes and refresh tokens of the webmail's log-in. Only adds tables and a column."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

OPTIONS = {"mariadb_engine": "InnoDB", "mariadb_charset": "utf8mb4"}
MOMENT = mysql.DATETIME(fsp=6)
#: Dovecot verifies tokens with the public keys, and asks whether their session still lasts.
GRANTS = (
    "SELECT, INSERT, UPDATE, DELETE ON oidc_keys TO usermgmt",
    "SELECT, INSERT, UPDATE, DELETE ON oidc_grants TO usermgmt",
    "SELECT (kid, public_key) ON oidc_keys TO dovecot",
    "SELECT (id, mailbox_id, created_at) ON web_sessions TO dovecot",
    "SELECT (sessions_ended_at) ON mailboxes TO dovecot",
)


def upgrade() -> None:
    """Add, then grant."""
    op.add_column("web_sessions", sa.Column("webmail_at", MOMENT, nullable=True))
    op.create_table(
        "oidc_keys",
        sa.Column("kid", sa.String(43), primary_key=True, nullable=False),
        sa.Column("public_key", sa.Text(), nullable=False),
        sa.Column("private_key", sa.Text(), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        **OPTIONS,
    )
    session = sa.ForeignKey("web_sessions.id", name="fk_oidc_grants_session_id", ondelete="CASCADE")
    op.create_table(
        "oidc_grants",
        sa.Column("id", sa.Integer(), primary_key=True, autoincrement=True, nullable=False),
        sa.Column("session_id", sa.Integer(), session, nullable=False),
        sa.Column("kind", sa.String(8), nullable=False),
        sa.Column("token_hash", sa.String(64), nullable=False),
        sa.Column("scope", sa.String(64), nullable=False),
        sa.Column("expires_at", MOMENT, nullable=False),
        sa.Column("used_at", MOMENT, nullable=True),
        sa.Column("challenge", sa.String(128), server_default="", nullable=False),
        sa.Column("nonce", sa.String(255), server_default="", nullable=False),
        sa.UniqueConstraint("token_hash", name="uq_oidc_grants_token_hash"),
        **OPTIONS,
    )
    op.create_index("ix_oidc_grants_session_id", "oidc_grants", ["session_id"])
    op.create_index("ix_oidc_grants_expires_at", "oidc_grants", ["expires_at"])
    for grant in GRANTS:
        op.execute(f"GRANT {grant}")


def downgrade() -> None:
    """Take back the rights, and remove the tables with all that they hold."""
    for grant in reversed(GRANTS):
        op.execute(f"REVOKE {grant.replace(' TO ', ' FROM ')}")
    op.drop_table("oidc_grants")
    op.drop_table("oidc_keys")
    op.drop_column("web_sessions", "webmail_at")
