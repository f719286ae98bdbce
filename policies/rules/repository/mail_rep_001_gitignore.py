from collections.abc import Iterator

from policies.families import RepositoryRule
from policies.model import Found, Place, Severity
from policies.sources.repository import Repository

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
                yield Found(
                    Place(".gitignore", number),
                    f"{line} takes a pattern back",
                    "no exception but !.env.example",
                    line,
                )


check = MAIL_REP_001()
