from collections.abc import Iterator

from policies.model import Found, Severity
from policies.repository.promises import missing
from policies.repository.rule import RepositoryRule
from policies.shared.repository import Repository


class MAIL_REP_008(RepositoryRule):
    """A document that names a command which does not exist is worse than none: it is read at night, in a
    hurry.

    A weekly timer called a script by an option that it never had: every backup since then was on paper.
    """

    name = "Commands that are named exist: each make target and script of documents, timers and scripts"
    severity = Severity.MEDIUM
    fix = "Correct the name, or write what it promises"
    bad = "```sh\nmake backups      # the Makefile has: backup\n```\n"
    good = "```sh\nmake backup\n```\n"

    def check(self, subject: Repository) -> Iterator[Found]:
        """Look at commands in scripts, units, workflows and the shell blocks of documents."""
        for place, name in missing(subject):
            yield Found(place, f"{name} does not exist", "a target or a file of this repository", name)


check = MAIL_REP_008()
