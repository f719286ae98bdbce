from collections.abc import Iterator
from fnmatch import fnmatch

from policies.model import Found, Place, Severity
from policies.repository.rule import RepositoryRule
from policies.repository.tracked import tracked
from policies.shared.repository import Repository

NAMES = (
    ".env", ".env.*", "*.key", "*.pem", "terraform.tfvars", "*.tfstate", "*.tfstate.*", "*.p12", "*.pfx",
    "*.jks",
    "*.kdbx", "*.keytab", "id_rsa", "id_ecdsa", "id_ed25519", ".htpasswd", ".netrc", ".pgpass", ".my.cnf",
)  # fmt: skip
EXAMPLES = (".example", ".sample", ".template")


class MAIL_REP_002(RepositoryRule):
    """`git add -f`, or a file that was there before .gitignore, goes past every pattern.

    A key that was pushed once is known to everybody who ever cloned the repository, and to those who clone it
    later.
    """

    name = "No file of secrets in git: no .env, *.key, *.pem, secrets/, terraform.tfvars or Terraform state"
    severity = Severity.CRITICAL
    fix = (
        "Take it out (git rm --cached FILE), out of the history too, and make a new secret: the old one "
        "is known"
    )
    bad = "git add -f secrets/relay_password\n"
    good = "git status --ignored    # secrets/ stands among the ignored ones\n"

    def check(self, subject: Repository) -> Iterator[Found]:
        """Look at the names of all files that git has or would take."""
        for file in tracked(subject):
            folders, _, name = file.lower().rpartition("/")
            named = any(fnmatch(name, pattern) for pattern in NAMES) and not name.endswith(EXAMPLES)
            if named or "secrets" in folders.split("/"):
                yield Found(Place(file), f"{file} is in git", "only on the server, ignored by git", file)


check = MAIL_REP_002()
