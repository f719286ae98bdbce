from collections.abc import Iterator
from fnmatch import fnmatch

from policies.families import RepositoryRule
from policies.model import Found, Place, Severity
from policies.sources.repository import Repository

KEPT = (".env", ".env.*", "*.key", "*.pem", "secrets", "secrets/*", "terraform.tfvars", "[*]")
NEEDED = (".env", ".env.*", "!.env.example", "*.key", "*.pem", "secrets/", "terraform.tfvars")


class MAIL_REP_001(RepositoryRule):
    """What .gitignore does not name ends up in a commit one day, and what was pushed once is public for good.

    These patterns keep .env, keys, certificates, the secrets folder and Terraform's answers out.
    """

    name = (
        ".gitignore keeps secrets out: .env, .env.*, !.env.example, *.key, *.pem, secrets/, terraform.tfvars"
    )
    severity = Severity.HIGH
    fix = "Put the missing line back into .gitignore"
    bad = ".env\n*.key\n"
    good = "\n".join(NEEDED) + "\n"

    def check(self, subject: Repository) -> Iterator[Found]:
        """Look for each pattern as a line of its own that no later line takes back."""
        if ".gitignore" not in subject.files:
            yield Found(
                Place(".gitignore"), "there is no .gitignore", "one with " + ", ".join(NEEDED), ".gitignore"
            )
            return
        lines = [line.rstrip() for line in subject.text(".gitignore").splitlines()]
        for pattern in NEEDED:
            if pattern not in lines:
                yield Found(Place(".gitignore"), f"{pattern} is missing", f"the line {pattern}", pattern)
        for number, line in enumerate(lines, 1):
            if line.startswith("!") and line not in NEEDED:
                place = Place(".gitignore", number)
                yield Found(place, f"{line} takes a pattern back", "no exception but !.env.example", line)
        yield from self._deeper(subject)

    def _deeper(self, subject: Repository) -> Iterator[Found]:
        """A .gitignore further down wins over the one at the top."""
        for file in subject.matching("*/.gitignore"):
            for number, line in enumerate(subject.text(file).splitlines(), 1):
                exception = line.strip().removeprefix("!").strip("/")
                if line.startswith("!") and (
                    exception in NEEDED or any(fnmatch(exception, each) for each in KEPT)
                ):
                    yield Found(
                        Place(file, number), f"{line} takes a pattern back", "no such exception", line
                    )


check = MAIL_REP_001()
