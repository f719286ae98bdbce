from collections.abc import Iterator
from fnmatch import fnmatch
from functools import lru_cache

from policies.model import Found, Place, Severity
from policies.repository.rule import RepositoryRule
from policies.repository.tracked import added_lines, messages, tracked
from policies.shared import leaks
from policies.shared.interpolation import EXAMPLES
from policies.shared.repository import Repository

#: Files of which MAIL_CMP_017, MAIL_DKR_006 and MAIL_REP_005 judge the settings.
OTHERS = ("*ockerfile*", "*ontainerfile*", "*compose*.yml", "*compose*.yaml", *EXAMPLES)


@lru_cache(maxsize=4096)
def _elsewhere(file: str) -> bool:
    return any(fnmatch(file.rpartition("/")[2], pattern) for pattern in OTHERS)


class MAIL_REP_003(RepositoryRule):
    """A secret in a file is known to everybody who ever clones the repository, and deleting it changes
    nothing.

    Robots find keys in public repositories within minutes. Cutting a key in two, or writing it in base64,
    hides it from people only; and what one commit removes is still in the commit before.
    """

    name = "No secret in any file or in git's history: secrets live in secrets/, which git ignores"
    severity = Severity.CRITICAL
    fix = (
        "Make a new secret first: this one is known. Then take it out of the file and of the history "
        "(git filter-repo)"
    )
    bad = "password = hunter2hunter2\n"
    good = "!include_try /run/secrets/dovecot_db\n"

    def check(self, subject: Repository) -> Iterator[Found]:
        """Look at the files as they are, then at every line that was ever added."""
        for file in tracked(subject):
            yield from self._file(subject, file)
        now: dict[str, set[str]] = {}
        for commit, place, line in added_lines(subject):
            wrong = leaks.complaint(place.file, line, _elsewhere(place.file))
            if wrong and place.file not in now:
                here = place.file in subject.files
                now[place.file] = set(subject.text(place.file).splitlines()) if here else set()
            if wrong and line not in now[place.file]:
                what = f"{wrong}, in the history (commit {commit})"
                yield Found(place, what, "a new secret, and a history without the old one", place.file)

        for name, line in messages(subject):
            if wrong := leaks.complaint("message.md", line):
                what = f"{wrong}, in the message of {name}"
                yield Found(Place("."), what, "a new secret, and a history without the old one", name)

    def _file(self, subject: Repository, file: str) -> Iterator[Found]:
        for number, wrong in leaks.in_text(file, subject.text(file), _elsewhere(file)):
            digest = (
                "; before a digest the name of its kind, such as sha256:" if wrong == leaks.BY_CHANCE else ""
            )
            should = f"a file in secrets/, which git ignores{digest}"
            yield Found(Place(file, number), wrong, should, file)


check = MAIL_REP_003()
