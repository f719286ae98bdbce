import re
from collections.abc import Iterator

from policies.config.reader import Configuration
from policies.config.rule import ConfigurationRule
from policies.config.scripts import commands
from policies.model import Found, Severity

#: What a dump comes from: a program that writes a file to a pipe, or a file itself.
PIPED = re.compile(
    r"\b(?:cat|zcat|gzcat|gunzip|gzip|zstd|zstdcat|xz|xzcat|bzcat|bunzip2|pv|age|gpg|openssl|aws|curl)\b"
)
FROM_FILE = re.compile(r"(?<![<])<(?![<(])\s*\S")
#: Options whose value is the next word.
VALUED = (
    "-u",
    "-h",
    "-P",
    "-S",
    "--user",
    "--host",
    "--port",
    "--socket",
    "--protocol",
    "--default-character-set",
)
NAMED = re.compile(r"^(?:-D\S*|--database(?:=.*)?|--one-database|-e.*|--execute.*)$")


class MAIL_CFG_030(ConfigurationRule):
    """A dump of one database that is piped into a client without a name goes nowhere, or into another one.

    The client stops at the first statement, the pipe hides it, and the restore reports success.
    """

    name = "A restore names its database: mariadb NAME < dump"
    severity = Severity.HIGH
    fix = "Write the name of the database behind the client's options, and set -o pipefail"
    bad = "zcat mailserver.sql.gz | docker compose exec -T mariadb mariadb -u root\n"
    good = "zcat mailserver.sql.gz | docker compose exec -T mariadb mariadb -u root mailserver\n"
    language = "sh"

    def check(self, subject: Configuration) -> Iterator[Found]:
        """Look at every client that reads a dump."""
        for command in commands(subject.repository):
            parts = re.split(r"\|\|?|&&|;", command.text)
            for number, part in enumerate(parts):
                piped = number > 0 and bool(PIPED.search(parts[number - 1]))
                if (piped or FROM_FILE.search(part)) and self._nameless(part):
                    yield Found(
                        command.place, "a dump goes to no named database", "its name", command.place.file
                    )

    def _nameless(self, part: str) -> bool:
        """Tell whether the last word `mysql` or `mariadb` is a client without a database."""
        clients = list(re.finditer(r"(?<![\w./=-])(?:[\w/.]*/)?(?:mysql|mariadb)(?=\s|$)", part))
        if not clients:
            return False
        words = re.split(r"<", part[clients[-1].end() :])[0].split()
        skip = False
        for word in words:
            if skip:
                skip = False
            elif NAMED.match(word):
                return False
            elif word.startswith("-"):
                skip = word in VALUED
            else:
                return False
        return True


check = MAIL_CFG_030()
