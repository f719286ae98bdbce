from collections.abc import Iterator

from policies.families import ConfigurationRule
from policies.model import Found, Severity
from policies.sources.configuration import Configuration

#: Each setting, whether it must be set, and the values that are right.
RIGHT = {
    "skip-grant-tables": (False, ("0", "off", "false")),
    "local-infile": (True, ("0", "off", "false")),
    "general-log": (False, ("0", "off", "false")),
    "symbolic-links": (False, ("0", "off", "false")),
    "innodb-flush-log-at-trx-commit": (False, ("1",)),
    "old-passwords": (False, ("0", "off", "false")),
    "skip-networking": (False, ("0", "off", "false")),
    "skip-innodb-doublewrite": (False, ("0", "off", "false")),
}


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
        """Compare each file with the table."""
        for file in subject.files("ini", "config/mariadb/"):
            settings = subject.flat(file)
            for name, (needed, values) in RIGHT.items() if settings else ():
                value = settings.get(name, "" if needed else values[0]).lower()
                if value not in values:
                    what = f"{name} is {value or 'not set'}"
                    yield Found(settings.where(name), what, f"{name} = {values[0]}", "mariadb")


check = MAIL_CFG_021()
