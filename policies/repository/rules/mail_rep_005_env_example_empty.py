import posixpath
import re
from collections.abc import Iterator
from fnmatch import fnmatch

from policies.model import Found, Place, Severity
from policies.repository.rule import RepositoryRule
from policies.shared.interpolation import env_file
from policies.shared.repository import Repository
from policies.shared.secrets import complaint, is_named

FILES = (
    "*.env.example",
    "*.env.sample",
    "*.env.template",
    "*env.example",
    "example.env",
    ".env.*.example",
    ".env.*.sample",
)
COMMENTED = re.compile(r"^(\s*)#+\s*(?=(?:export\s+)?[A-Za-z_]\w*=)", re.MULTILINE)
PLACEHOLDER = re.compile(r"^<[^>]*>$")


class MAIL_REP_005(RepositoryRule):
    """An example with a password in it is a default password: somebody copies it and changes nothing.

    Left empty, `make setup` makes a strong one of its own for each server.
    """

    name = ".env.example holds no secret: leave passwords, keys and tokens empty"
    severity = Severity.CRITICAL
    fix = "Write NAME= and nothing behind it; if the value was ever in use, make a new one"
    bad = "MYSQL_PASSWORD=changeme\n"
    good = "MYSQL_PASSWORD=\n"

    def check(self, subject: Repository) -> Iterator[Found]:
        """Look at every value, also at those in comments."""
        for file in subject.files:
            if not any(fnmatch(posixpath.basename(file), each) for each in FILES):
                continue
            text = COMMENTED.sub(r"\1", subject.text(file))
            for number, line in enumerate(text.splitlines(), 1):
                for name, (value, _) in env_file(line).items():
                    wrong = "" if not value or PLACEHOLDER.match(value) else complaint(name, value)
                    if not wrong and value and not PLACEHOLDER.match(value) and is_named(name):
                        wrong = "a secret, by its name"
                    if wrong:
                        yield Found(Place(file, number), f"{name} is {wrong}", f"{name}=", name)


check = MAIL_REP_005()
