import re
from collections.abc import Iterator

from policies.config import demands
from policies.config.reader import Configuration
from policies.config.rule import ConfigurationRule
from policies.model import Found, Place, Severity

VALKEY = "config/valkey/valkey.conf"
COMMENT = re.compile(r"--\s[^\n]*|/\*(?!!).*?\*/", re.DOTALL)
#: Statements that give more than a service needs, with what each does. Those of MAIL_CFG_021 are not here.
STATEMENTS = {
    r"\bCREATE\s+(?:OR\s+REPLACE\s+)?USER\b(?![^;]*\bIDENTIFIED\b)[^;]*": "an account without a password",
    r"\bSET\s+PASSWORD\b[^;]*": "a password of an account is changed",
    r"\bIDENTIFIED\s+(?:VIA|WITH)\s+\w+(?!\s+(?:USING|AS|BY)\b)": "an account without a password",
    r"\bGRANT\b[^;]*\bTO\s+PUBLIC\b": "a right for everybody",
    r"\bGRANT\b[^;]*\bWITH\s+(?:GRANT|ADMIN)\s+OPTION\b": "a service may hand its rights on",
    r"\b(?:INSTALL\s+(?:PLUGIN|SONAME)|CREATE\s+(?:AGGREGATE\s+)?FUNCTION\b[^;]*\bSONAME)\b": "foreign code",
    r"\bCREATE\s+(?:\w+\s+)*?(?:EVENT|TRIGGER|PROCEDURE|FUNCTION|SERVER)\b": "statements run by themselves",
    r"\b(?:INTO\s+(?:OUTFILE|DUMPFILE)|LOAD_FILE\s*\(|LOAD\s+DATA)\b": "files of the server are read",
    r"\bINSERT\s+INTO\s+`?(?:admins|mailboxes)\b": "an account that nobody made in usermgmt",
    r"\bDROP\s+(?:TABLE|DATABASE|USER)\b|\bTRUNCATE\b": "data is deleted",
}


class MAIL_CFG_037(ConfigurationRule):
    """The database holds every account, the store everything that was learned. One option lets statements
    read any file, run foreign code, or write the data where it is gone with the container.

    policies/data/settings/mariadb.yml and valkey.yml say what each must be and what happens otherwise.
    """

    name = "MariaDB and valkey: no option or statement gives data away or loses it: see the tables"
    severity = Severity.HIGH
    fix = (
        "Write the value that the message names, or leave the line out. What is allowed stands in "
        "policies/data/settings/mariadb.yml and valkey.yml"
    )
    bad = "secure-file-priv =\n"
    good = "sql-mode = STRICT_ALL_TABLES\n"

    def check(self, subject: Configuration) -> Iterator[Found]:
        """Look at the options of both, with those of their commands, then at what the first start runs."""
        for file in subject.files("ini", "config/mariadb/"):
            for settings in subject.in_force(file, "mariadb", bare=True):
                yield from demands.found("mariadb", demands.of_flat(settings))
        for settings in subject.in_force(VALKEY, "valkey"):
            yield from demands.found("valkey", demands.of_flat(settings))
        for file in subject.files("sql", "config/mariadb/"):
            yield from self._statements(file, subject.text(file) or "")

    def _statements(self, file: str, text: str) -> Iterator[Found]:
        plain = COMMENT.sub(lambda matched: "\n" * matched.group().count("\n"), text)
        for pattern, what in STATEMENTS.items():
            for matched in re.finditer(pattern, plain, re.IGNORECASE):
                place = Place(file, plain.count("\n", 0, matched.start()) + 1)
                words = " ".join(matched.group().split())[:60]
                yield Found(place, f"{what}: {words}", "leave it out", "mariadb")


check = MAIL_CFG_037()
