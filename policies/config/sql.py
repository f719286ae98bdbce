"""SQL as far as rules need it: tables and columns, who may read them, and what a query names."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

TABLE = re.compile(
    r"\bCREATE\s+TABLE\s+(?:IF\s+NOT\s+EXISTS\s+)?`?(?P<name>\w+)`?\s*\((?P<body>.*?)\)\s*[^();]*;",
    re.IGNORECASE | re.DOTALL,
)
COLUMN = re.compile(r"^\s*`?(?P<name>\w+)`?\s+\w+", re.MULTILINE)
NO_COLUMN = {"primary", "constraint", "unique", "foreign", "key", "index", "check"}
GRANT = re.compile(
    r"\bGRANT\s+SELECT\s*\((?P<columns>[^)]*)\)\s+ON\s+`?(?P<table>\w+)`?\s+TO\s+'?(?P<user>\w+)",
    re.IGNORECASE,
)
SOURCE = re.compile(r"\b(?:FROM|JOIN)\s+`?(?P<table>\w+)`?(?:\s+(?:AS\s+)?(?P<alias>\w+))?", re.IGNORECASE)
QUALIFIED = re.compile(r"\b(?P<alias>[a-z_]\w*)\.`?(?P<column>[a-z_]\w*)", re.IGNORECASE)
BARE = re.compile(r"(?<![\w.])(?P<column>[a-z_]\w*)(?![\w.]|\s*\()", re.IGNORECASE)
RENAMED = re.compile(r"\bAS\s+`?\w+`?", re.IGNORECASE)
LITERAL = re.compile(r"'[^']*'|\"[^\"]*\"|%\{[^}]*\}|%\w")
WORDS = frozenset(
    re.findall(
        r"\w+",
        "select from join on where and or not as union all left inner outer right limit order by is null "
        "in like distinct true false case when then else end asc desc group having using between exists",
    )
)


@dataclass
class Schema:
    """Tables with their columns, and the columns that each account may read."""

    tables: dict[str, set[str]] = field(default_factory=dict)
    readable: dict[tuple[str, str], set[str]] = field(default_factory=dict)

    def add(self, text: str) -> None:
        """Add what a file creates and grants."""
        for matched in TABLE.finditer(text):
            names = {each["name"].lower() for each in COLUMN.finditer(matched["body"])}
            self.tables[matched["name"].lower()] = names - NO_COLUMN
        for matched in GRANT.finditer(text):
            columns = {each.strip(" `").lower() for each in matched["columns"].split(",")}
            self.readable.setdefault((matched["user"].lower(), matched["table"].lower()), set()).update(
                columns
            )

    def unknown(self, query: str, user: str) -> list[str]:
        """Return what a query names and the schema does not have, or does not let its account read."""
        plain = LITERAL.sub("''", query).lower()
        aliases: dict[str, str] = {}
        for matched in SOURCE.finditer(plain):
            table, alias = matched["table"], matched["alias"]
            aliases[table] = table
            if alias and alias not in WORDS:
                aliases[alias] = table
        plain = RENAMED.sub("", plain)
        wrong = [
            f"the table {table}" for table in dict.fromkeys(aliases.values()) if table not in self.tables
        ]
        known = {table: self._columns(table, user) for table in aliases.values() if table in self.tables}
        for matched in QUALIFIED.finditer(plain):
            table = aliases.get(matched["alias"])
            if table is None or (table in known and matched["column"] not in known[table]):
                wrong.append(f"{matched['alias']}.{matched['column']}")
        every = set().union(*known.values()) if known else set()
        for matched in BARE.finditer(QUALIFIED.sub("", plain)):
            name = matched["column"]
            if known and name not in WORDS and name not in aliases and name not in every:
                wrong.append(name)
        return list(dict.fromkeys(wrong))

    def _columns(self, table: str, user: str) -> set[str]:
        """Return the columns that an account may read: all, if nothing is said about it."""
        if any(who == user for who, _ in self.readable):
            return self.readable.get((user, table), set()) & self.tables[table]
        return self.tables[table]
