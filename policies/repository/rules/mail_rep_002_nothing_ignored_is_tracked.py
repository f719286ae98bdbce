"""MAIL_REP_002: no file of secrets in git."""

from collections.abc import Iterator

from policies.model import Found, Place
from policies.repository.tracked import tracked
from policies.shared.repository import Repository
from policies.shared.secrets import is_holder


def check(subject: Repository) -> Iterator[Found]:
    """Look at the names of all files that git has or would take."""
    for file in tracked(subject):
        folders, _, name = file.lower().rpartition("/")
        if is_holder(name) or "secrets" in folders.split("/"):
            yield Found(Place(file), f"{file} is in git", "only on the server, ignored by git", file)
