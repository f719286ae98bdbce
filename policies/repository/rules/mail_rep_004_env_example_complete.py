"""MAIL_REP_004: .env.example names every variable of the Compose files."""

import posixpath
import re
from collections.abc import Iterator

from policies.model import Found
from policies.repository.variables import read_by_compose
from policies.shared.repository import Repository

#: A variable with a value, or one that is told of in a comment: `# NAME=8025`.
NAMED = re.compile(r"^\s*(?:#\s*)?(?:export\s+)?(?P<name>[A-Za-z_]\w*)=")
EXAMPLE = ".env.example"
#: On several hosts `mailctl swarm` puts the name of a database member or of a shard in its place.
MEMBER, HOSTS = "MEMBER", "nodes.yml"


def check(subject: Repository) -> Iterator[Found]:
    """Look at every text of every Compose file, and for its variables in the example beside it."""
    for name, place in read_by_compose(subject):
        if name == MEMBER and HOSTS in subject.files:
            continue
        example = posixpath.join(posixpath.dirname(place.file), EXAMPLE)
        if example not in subject.files:
            example = EXAMPLE
        if name not in _known(subject, example):
            yield Found(place, f"{name} is not in {example}", f"{name}=, or # {name}=default", name)


def _known(subject: Repository, example: str) -> set[str]:
    if example not in subject.files:
        return set()
    lines = subject.text(example).splitlines()
    return {matched["name"] for line in lines if (matched := NAMED.match(line))}
