"""The rows of both databases that are about one person. What an export shows is what an erasure removes."""

import hashlib
import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from mailctl.core.containers import output, running
from mailctl.core.context import Context
from mailctl.core.database import CLIENT
from mailctl.core.groupware import PERSON

_BOX = "mailbox_id IN (SELECT id FROM mailboxes WHERE email = @who)"
_USER = "user_id IN (SELECT user_id FROM users WHERE username = @who)"
# A destination may have a tag: name+tag@domain leads to name@domain.
_UNTAGGED = (
    "CONCAT(SUBSTRING_INDEX(SUBSTRING_INDEX(destination, '@', 1), '+', 1), '@',"
    " SUBSTRING_INDEX(destination, '@', -1))"
)
_OF_ACCOUNT = (
    *("app_passwords", "totp_secrets", "passkeys", "recovery_codes"),
    *("password_links", "web_sessions", "api_tokens", "mail_rules"),
)
_OF_WEBMAIL = (
    *("identities", "contacts", "contactgroups", "responses"),
    *("collected_addresses", "searches", "dictionary", "filestore"),
)
#: By database, each table with the condition that says whose a row is.
TABLES: dict[str, dict[str, str]] = {
    "mailserver": {
        "mailboxes": "email = @who",
        "admins": "email = @who",
        "aliases": f"source = @who OR {_UNTAGGED} = @who",
        **dict.fromkeys(_OF_ACCOUNT, _BOX),
        "sender_rules": f"{_BOX} OR created_by = @who",
        "mail_reports": f"{_BOX} OR sender = @who OR recipient = @who",
        "login_attempts": "account = @who",
        "audit_log": "subject = @who OR actor = @who OR detail REGEXP @named",
    },
    "roundcube": {
        "users": "username = @who",
        **dict.fromkeys(_OF_WEBMAIL, _USER),
        "contactgroupmembers": f"contact_id IN (SELECT contact_id FROM contacts WHERE {_USER})",  # noqa: S608 (a constant)
    },
}
# No password, key or token leaves the database, not even as a hash. A table that is not there is empty.
_SHOW = """SELECT GROUP_CONCAT(CONCAT(QUOTE(column_name), ', `', column_name, '`')) INTO @columns
  FROM information_schema.columns WHERE table_schema = DATABASE() AND table_name = '{table}'
  AND data_type NOT IN ('varbinary', 'blob') AND column_name NOT REGEXP '_hash$|^secret$';
EXECUTE IMMEDIATE COALESCE(CONCAT('SELECT JSON_ARRAY(''{table}'', JSON_OBJECT(', @columns,
  ')) FROM {table} WHERE ', {where}), 'DO 0');
"""
# The lines of the audit log keep what was done and when, but not to whom; their number decides the folder of
# the next person with the address. The rest of both databases goes with the account.
_ERASE = {
    "roundcube": """DELETE FROM session WHERE INSTR(FROM_BASE64(vars), CONCAT('"', @who, '"'));
DELETE FROM users WHERE username = @who;
""",
    "mailserver": """START TRANSACTION;
DELETE FROM login_attempts WHERE {login_attempts};
DELETE FROM mail_reports WHERE {mail_reports};
DELETE FROM aliases WHERE {aliases};
DELETE FROM mailboxes WHERE email = @who;
UPDATE sender_rules SET created_by = @gone WHERE created_by = @who;
UPDATE audit_log SET client_address = IF(actor = @who, '', client_address),
  detail = IF(subject = @who, '{{}}', REGEXP_REPLACE(detail, @named, @gone)),
  actor = IF(actor = @who, @gone, actor), subject = IF(subject = @who, @gone, subject) WHERE {audit_log};
COMMIT;
""",
}
_HOMES = """SELECT JSON_ARRAY('homes', home) FROM (
  SELECT COALESCE(home, CONCAT(SUBSTRING_INDEX(email, '@', -1), '/', SUBSTRING_INDEX(email, '@', 1))) AS home
  FROM mailboxes WHERE email = @who
  UNION SELECT JSON_VALUE(detail, '$.home') FROM audit_log
  WHERE subject = @who AND action IN ('mailbox.erase', 'mailbox.purge')) AS found WHERE home IS NOT NULL;
"""
_SINCE = """SELECT JSON_ARRAY(email, MIN(at)) FROM (SELECT email, created_at AS at FROM mailboxes
  UNION SELECT subject, MIN(at) FROM audit_log WHERE action = 'mailbox.add' GROUP BY subject) AS found
  GROUP BY email;
"""

#: What a database answers to a script of root: (its name, the script).
Ask = Callable[[str, str], str]


@dataclass
class Known:
    """What there is: rows by table, and the folders of mail (domain/name), the account's own first."""

    tables: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    homes: list[str] = field(default_factory=list)

    @property
    def account(self) -> dict[str, Any] | None:
        return next(iter(self.tables.get("mailboxes", [])), None)


def mark(address: str) -> str:
    """What stands in place of an erased address, as usermgmt knows it (services/mailboxes.py)."""
    return f"erased:{hashlib.sha256(address.encode()).hexdigest()}"


def running_database(context: Context) -> Ask:
    """The server's own. Raises Refused when it does not answer."""

    def ask(database: str, script: str) -> str:
        client = ("sh", "-c", CLIENT, "sh", "--batch", "--raw", "--skip-column-names", database)
        return output(running(context, "mariadb"), *client, stdin=script.encode()).decode()

    return ask


def known(ask: Ask, address: str) -> Known:
    """Everything about an address. Raises Refused: the database does not answer."""
    found = Known()
    for database, tables in TABLES.items():
        script = "".join(
            _SHOW.format(table=table, where="'" + where.replace("'", "''") + "'")
            for table, where in tables.items()
        )
        script += _HOMES if database == "mailserver" else ""
        for table, row in _rows(ask(database, _about(address) + script)):
            if table == "homes":
                found.homes.append(row)
            else:
                found.tables.setdefault(table, []).append(row)
    return found


def erase(ask: Ask, address: str) -> None:
    """Remove all rows, those of the account in one transaction. Raises Refused."""
    for database, script in _ERASE.items():
        ask(database, _about(address) + script.format(**TABLES["mailserver"]))


def people(ask: Ask, address: str = "") -> set[str]:
    """What Radicale calls the people who have a mailbox, or the one with this address."""
    where = " WHERE email = @who" if address else ""
    script = f"SELECT JSON_ARRAY({PERSON}) FROM mailboxes{where};\n"  # noqa: S608 (constants)
    return {name for (name,) in _rows(ask("mailserver", _about(address) + script))}


def accounts(ask: Ask) -> list[tuple[str, str]]:
    """Each address that has or had a mailbox, and since when (UTC, 2026-01-02 03:04:05)."""
    return [(email, at) for email, at in _rows(ask("mailserver", _SINCE))]


def _rows(text: str) -> list[list[Any]]:
    return [json.loads(line) for line in text.splitlines()]


def _about(address: str) -> str:
    """An address as variables of a script, in hexadecimal digits, so that none ends a string."""
    named = rf"(?<![\w.+-]){re.escape(address)}(?![\w.-])"
    values = {"who": address, "named": named, "gone": mark(address)}
    return "".join(
        f"SET @{name} = CONVERT(X'{value.encode().hex()}' USING utf8mb4) COLLATE utf8mb4_bin;\n"
        for name, value in values.items()
    )
