import posixpath
import re
from collections.abc import Iterator

from policies.model import Found, Severity
from policies.repository.rule import RepositoryRule
from policies.repository.variables import read_by_compose
from policies.shared.repository import Repository

#: A variable with a value, or one that is told of in a comment: `# NAME=8025`.
NAMED = re.compile(r"^\s*(?:#\s*)?(?:export\s+)?(?P<name>[A-Za-z_]\w*)=")
EXAMPLE = ".env.example"


class MAIL_REP_004(RepositoryRule):
    """Compose puts nothing in the place of a variable that is not set, and starts all the same.

    Whoever sets the server up has only .env.example to go by: what is not in it is left out, and the mail
    server comes up with an empty host name or on the wrong disk.
    """

    name = (
        ".env.example names every variable of the Compose files; optional ones as a comment, # NAME=default"
    )
    severity = Severity.MEDIUM
    fix = "Write NAME= with a line about it into .env.example, or # NAME=default if it may be left out"
    bad = "image: nginx:${NGINX_TAG}    # and .env.example does not know NGINX_TAG\n"
    good = "# NGINX_TAG=1.30.5    in .env.example\n"

    def check(self, subject: Repository) -> Iterator[Found]:
        """Look at every text of every Compose file, and for its variables in the example beside it."""
        for name, place in read_by_compose(subject):
            example = posixpath.join(posixpath.dirname(place.file), EXAMPLE)
            if example not in subject.files:
                example = EXAMPLE
            if name not in self._known(subject, example):
                yield Found(place, f"{name} is not in {example}", f"{name}=, or # {name}=default", name)

    def _known(self, subject: Repository, example: str) -> set[str]:
        if example not in subject.files:
            return set()
        lines = subject.text(example).splitlines()
        return {matched["name"] for line in lines if (matched := NAMED.match(line))}


check = MAIL_REP_004()
