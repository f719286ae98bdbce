"""Builds search indexes again: Dovecot's own, made of nothing but the mails."""

from collections.abc import Callable, Sequence

from mailctl.core.errors import Problem, Refused
from mailctl.core.runtime import Runtime

#: A large mailbox takes minutes: about 400 mails a second and processor.
LIMIT_SECONDS = 4 * 3600


def everybody(runtime: Runtime) -> list[str]:
    """All mailboxes, as Dovecot lists them."""
    return sorted(runtime.inside("dovecot", ("doveadm", "user", "*")).split())


def known(runtime: Runtime, people: Sequence[str]) -> list[str]:
    """The given addresses in lower case. Raises Refused for one without a mailbox."""
    there = set(everybody(runtime))
    asked = [person.strip().lower() for person in people]
    wrong = [person for person in asked if person not in there]
    if wrong:
        fix = ".venv/bin/mailctl user list shows who has one; a disabled one is not indexed"
        raise Refused(*(Problem("person", "has no mailbox here", fix, value=person) for person in wrong))
    return asked


def rebuild(runtime: Runtime, people: Sequence[str], tell: Callable[[str, int], None]) -> None:
    """Remove each mailbox's indexes and build them again, one mailbox after another. Raises Refused.

    Until a folder is indexed again, a search in it indexes what is missing first, or reads the mails: slower,
    never with another result.
    """
    for number, person in enumerate(people):
        tell(person, number)
        for words in (("fts", "flatcurve", "remove"), ("index",)):
            runtime.inside("dovecot", ("doveadm", *words, "-u", person, "*"), limit=LIMIT_SECONDS)
