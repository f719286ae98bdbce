"""Commands that change a service's settings past its reviewed files."""

from __future__ import annotations

import re
from functools import lru_cache

from policies.shared import tables

#: Programs that change a setting of a service, in its files or while it runs, or that read other files.
SETS = re.compile(
    r"\bpostconf\b.*\s(?:-\w*[eMFPX#]|[\w/.]+\s*=)|\bdovecot\b.*\s-o\b|\bnginx\b.*\s-g\b|"
    r"\b(?:valkey|redis)-cli\b.*\bconfig\s+set\b|\bSET\s+(?:GLOBAL|PERSIST)\b|"
    r"\bpostmulti\b.*\s-e\b|\bdoveadm\s+(?:exec|instance)\b|"
    r"\bexec\s+(?:(?:\S*/)?(?:postfix|dovecot|nginx|clamd|rspamd)\s+)+(?:-\S+\s+)*"
    r"(?:-c|--config(?:-file)?)[ =]|"
    r"\bMAIL_CONFIG=(?!/etc/postfix\b)|\bLD_PRELOAD=",
    re.IGNORECASE,
)
#: Folders of settings and of our own programs, besides those that policies/data/mounts.yml names.
MORE = (
    r"/usr/local/etc/php",
    r"/etc/(?:php|apache2|nginx|mysql|cloudflared)",
    r"/usr/lib/postfix/meta",
)
OURS = r"config/(?:clamav|dovecot|mariadb|nginx|postfix|roundcube|rspamd|valkey)"
#: What a statement does to the accounts or to the server.
SQL = re.compile(
    r"\b(?:mariadb|mysql)\b.*\s(?:-e|--execute)\b.*\b(?:ALTER|CREATE|DELETE|DROP|GRANT|INSERT|SET|UPDATE)\b",
    re.IGNORECASE,
)

#: What belongs to the same command; an expression of sed may well hold a bar.
SAME = "(?:(?!&&|;).)"


@lru_cache(maxsize=1)
def _writes() -> re.Pattern[str]:
    """Return what writes into a folder of settings: sed -i, tee, `>`, and what copies to its last word."""
    rows = [row["folder"] for row in tables.table("mounts") if "folder" in row]
    folders = "|".join([*map(re.escape, rows), *MORE, rf"(?:\S*/)?{OURS}"])
    place = rf"[\"']?(?:{folders})(?:/[^\s;&|]*)?"
    # A build copies our own programs there; nothing edits them.
    edited = rf"[\"']?(?:{folders}|/opt/app)(?:/[^\s;&|]*)?"
    return re.compile(
        rf"\b(?:sed|perl|yq|g?awk)(?={SAME}*\s(?:-\w*i|--in-?place)){SAME}*\s{edited}(?=\s|[;&|\"']|$)"
        rf"|\btee\s(?:-\S+\s)*{place}|>\|?\s*{place}"
        rf"|\b(?:cp|ln|install|rsync)\s[^;&|]*\s{place}\s*(?=[;&|]|$)"
    )


def found(text: str, statements: bool = False) -> str:
    """Return the piece of a command line that changes settings, or nothing; `statements`: in SQL as well."""
    matched = SETS.search(text) or _writes().search(text) or (SQL.search(text) if statements else None)
    return matched.group() if matched else ""
