"""The members of the database take turns in a deployment: with two of them gone, nobody can write."""

import contextlib
import re
import time
from collections.abc import Collection, Iterable

from mailctl.core.errors import Problem, Refused
from mailctl.core.members import NAMES
from mailctl.swarm import docker

LIMIT_SECONDS, POLL_SECONDS = 180.0, 1.0
#: One member asks all of them (config/mariadb/member/state.sh: NAME STATE …).
ASK = f"for name in {' '.join(NAMES)}; do /bin/sh /usr/local/bin/ask-member $name || true; done"
MEMBER = re.compile(r"-([123])$")


def waves(names: Iterable[str]) -> list[tuple[str, ...]]:
    """The same services in waves: of the members of a service no two together, and all others first."""
    found: dict[str, list[str]] = {}
    for name in names:
        number = MEMBER.search(name)
        found.setdefault(number[1] if number else "1", []).append(name)
    return [tuple(found[key]) for key in sorted(found)]


def inside(stack: str) -> set[str]:
    """The members that are in the database, as the one on this host hears; none if it hears nothing."""
    with contextlib.suppress(Refused):
        for container in docker.lines("ps", "--quiet", "--filter", f"name=^{stack}_mariadb-"):
            said = docker.run("exec", container, "/bin/sh", "-c", ASK, seconds=30)
            found = (line.split() for line in said.splitlines())
            return {words[0] for words in found if words[1:2] in (["writer"], ["member"])}
    return set()


def wait(stack: str, before: Collection[str], services: Collection[str]) -> None:
    """Wait until every member that was in the database is again, if one was updated. Raises Refused."""
    if not set(services) & set(NAMES):
        return
    end = time.monotonic() + LIMIT_SECONDS
    while missing := sorted(set(before) - inside(stack)):
        if time.monotonic() > end:
            wrong = f"is not in the database again after {LIMIT_SECONDS:.0f} s"
            raise Refused(Problem(f"service {missing[0]}", wrong, ".venv/bin/mailctl db status"))
        time.sleep(POLL_SECONDS)
