"""MAIL_REP_002: no file of secrets in git."""

from collections.abc import Iterator
from fnmatch import fnmatch

from policies.model import Found, Place
from policies.repository.tracked import tracked
from policies.shared.repository import Repository

NAMES = (
    ".env", ".env.*", "*.key", "*.pem", "terraform.tfvars", "*.tfstate", "*.tfstate.*", "*.p12", "*.pfx",
    "*.jks",
    "*.kdbx", "*.keytab", "id_rsa", "id_ecdsa", "id_ed25519", ".htpasswd", ".netrc", ".pgpass", ".my.cnf",
)  # fmt: skip
EXAMPLES = (".example", ".sample", ".template")


def check(subject: Repository) -> Iterator[Found]:
    """Look at the names of all files that git has or would take."""
    for file in tracked(subject):
        folders, _, name = file.lower().rpartition("/")
        named = any(fnmatch(name, pattern) for pattern in NAMES) and not name.endswith(EXAMPLES)
        if named or "secrets" in folders.split("/"):
            yield Found(Place(file), f"{file} is in git", "only on the server, ignored by git", file)
