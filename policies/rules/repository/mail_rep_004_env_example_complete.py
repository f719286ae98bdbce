import posixpath
import re
from collections.abc import Iterator
from typing import Any

from policies.families import RepositoryRule
from policies.model import Found, Place, Severity
from policies.sources.located import List, Map
from policies.sources.repository import Repository

VARIABLE = re.compile(r"(?<!\$)(?:\$\$)*\$(?:\{(?P<braced>[A-Za-z_]\w*)|(?P<plain>[A-Za-z_]\w*))")
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
        for file in sorted({file for project in subject.compose for file in project.files}):
            example = posixpath.join(posixpath.dirname(file), EXAMPLE)
            if example not in subject.files:
                example = EXAMPLE
            known = self._known(subject, example)
            for document in subject.yaml(file):
                for text, place in self._texts(document, Place(file)):
                    for matched in VARIABLE.finditer(text):
                        name = matched["braced"] or matched["plain"]
                        if name not in known:
                            what = f"{name} is not in {example}"
                            yield Found(place, what, f"{name}=, or # {name}=default", name)

    def _known(self, subject: Repository, example: str) -> set[str]:
        if example not in subject.files:
            return set()
        lines = subject.text(example).splitlines()
        return {matched["name"] for line in lines if (matched := NAMED.match(line))}

    def _texts(self, node: Any, place: Place) -> Iterator[tuple[str, Place]]:
        if isinstance(node, Map):
            for key, value in node.items():
                yield from self._texts(value, node.places[key])
        elif isinstance(node, List):
            for value, where in zip(node, node.places, strict=True):
                yield from self._texts(value, where)
        elif isinstance(node, str):
            yield node, place


check = MAIL_REP_004()
