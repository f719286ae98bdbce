"""MAIL_REP_005: .env.example holds no secret."""

import posixpath
import re
from collections.abc import Iterator
from fnmatch import fnmatch

from policies.model import Found, Place
from policies.shared.interpolation import env_file
from policies.shared.repository import Repository
from policies.shared.secrets import complaint, is_named

FILES = (
    "*.env.example",
    "*.env.sample",
    "*.env.template",
    "*env.example",
    "example.env",
    ".env.*.example",
    ".env.*.sample",
)
COMMENTED = re.compile(r"^(\s*)#+\s*(?=(?:export\s+)?[A-Za-z_]\w*=)", re.MULTILINE)
PLACEHOLDER = re.compile(r"^<[^>]*>$")


def check(subject: Repository) -> Iterator[Found]:
    """Look at every value, also at those in comments."""
    for file in subject.files:
        if not any(fnmatch(posixpath.basename(file), each) for each in FILES):
            continue
        text = COMMENTED.sub(r"\1", subject.text(file))
        for number, line in enumerate(text.splitlines(), 1):
            for name, (value, _) in env_file(line).items():
                wrong = "" if not value or PLACEHOLDER.match(value) else complaint(name, value)
                if not wrong and value and not PLACEHOLDER.match(value) and is_named(name):
                    wrong = "a secret, by its name"
                if wrong:
                    yield Found(Place(file, number), f"{name} is {wrong}", f"{name}=", name)
