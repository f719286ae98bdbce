import re
from collections.abc import Iterator

from policies.compose.project import Service
from policies.config.reader import Configuration
from policies.config.rule import ConfigurationRule
from policies.config.settings import Settings
from policies.model import Found, Place, Severity

NO, ONE = ("0", "off", "false", "no"), ("1", "on", "true")
#: Each setting, whether it must be set, and the values that are right.
RIGHT = {
    "skip-grant-tables": (False, NO),
    "local-infile": (True, NO),
    "general-log": (False, NO),
    "log-raw": (False, NO),
    "symbolic-links": (False, NO),
    "innodb-flush-log-at-trx-commit": (False, ("1",)),
    "innodb-doublewrite": (False, ONE),
    "skip-innodb-doublewrite": (False, NO),
    "innodb-flush-method": (False, ("o_direct", "fsync", "o_dsync", "o_direct_no_fsync")),
    "old-passwords": (False, NO),
    "skip-networking": (False, NO),
}
#: MariaDB takes the beginning of a name for the whole of it.
SHORT = re.compile(r"^skip-g\w*(?:-\w*)?$")
EMPTY = ("MARIADB_ALLOW_EMPTY_ROOT_PASSWORD", "MYSQL_ALLOW_EMPTY_PASSWORD", "MARIADB_ALLOW_EMPTY_PASSWORD")
HERE = ("localhost", "127.0.0.1", "::1")
GRANT = re.compile(
    r"\bGRANT\s+(?P<rights>[^;]*?)\s+ON\s+(?P<what>[`\w*%]+(?:\.[`\w*%]+)?)\s+TO\b", re.IGNORECASE
)
#: A password that is written out, an empty one too; a script's placeholder is none.
PASSWORD = re.compile(
    r"\bIDENTIFIED\s+(?:BY|VIA\s+\w+\s+USING)\s+(?:PASSWORD\s*)?\(?\s*'(?!%)", re.IGNORECASE
)


class MAIL_CFG_021(ConfigurationRule):
    """The database knows every account: whoever may skip its rights, or read its log of statements, is
    everybody.

    A transaction that was answered and is not on disk comes back after a power cut: a deleted account is
    alive again.
    """

    name = "MariaDB asks for passwords, logs none and keeps what it answered: see the table in the rule"
    severity = Severity.HIGH
    fix = "Remove the line, or write the value that the message names"
    bad = "skip-grant-tables\n"
    good = "local-infile = 0\ninnodb-flush-log-at-trx-commit = 1\n"

    def check(self, subject: Configuration) -> Iterator[Found]:
        """Compare each file, together with the service's command, with the table; then look at rights."""
        for file in subject.files("ini", "config/mariadb/"):
            settings = subject.in_force(file, "mariadb", bare=True)
            yield from dict.fromkeys(found for each in settings for found in self._settings(each))
        for service in subject.running("mariadb"):
            for name, value, place in service.entries("environment"):
                if name in EMPTY and str(value).strip():
                    yield Found(place, f"{name} allows no password", "leave it out", "mariadb")
            yield from self._root(service)
        for kind in ("sql", "script"):
            for file in subject.files(kind, "config/mariadb/"):
                yield from self._rights(file, subject.text(file) or "")

    def _root(self, service: Service) -> Iterator[Found]:
        """Look from where root may log in; the image lets it in from everywhere when nothing is set."""
        value = str(service.get("environment", "MARIADB_ROOT_HOST") or "")
        if value not in HERE:
            place = service.where("environment", "MARIADB_ROOT_HOST")
            what = f"root logs in from {value or 'everywhere'}"
            yield Found(place, what, "MARIADB_ROOT_HOST: localhost", "mariadb")

    def _settings(self, settings: Settings) -> Iterator[Found]:
        for name, (needed, values) in RIGHT.items():
            value = settings.get(name, "" if needed else values[0]).lower()
            if value not in values:
                what = f"{name} is {value or 'not set'}"
                yield Found(settings.where(name), what, f"{name} = {values[0]}", "mariadb")
        for name, value in settings.values.items():
            if SHORT.match(name) and name not in RIGHT and value.lower() not in NO:
                yield Found(
                    settings.where(name), f"{name} stands for skip-grant-tables", "leave it out", "mariadb"
                )

    def _rights(self, file: str, text: str) -> Iterator[Found]:
        """Look for passwords, for a right on everything, and in the schema for all rights on a table."""
        for matched in PASSWORD.finditer(text):
            place = Place(file, text.count("\n", 0, matched.start()) + 1)
            yield Found(
                place, "a password of the database is written out", "the one of a secret file", "mariadb"
            )
        for matched in GRANT.finditer(text):
            everything = matched["what"].replace("`", "") in ("*.*", "%.*")
            all_rights = file.endswith(".sql") and matched["rights"].upper().startswith("ALL")
            if everything or all_rights:
                place = Place(file, text.count("\n", 0, matched.start()) + 1)
                what = f"{' '.join(matched.group().split())} gives more than a service needs"
                yield Found(place, what, "the rights on the tables it uses", "mariadb")


check = MAIL_CFG_021()
