"""MAIL_REP_005: .env.example holds no secret."""

import re
from collections.abc import Iterator

from policies.model import Found, Place
from policies.shared.interpolation import env_file
from policies.shared.repository import Repository
from policies.shared.secrets import complaint, is_named

FILES = re.compile(
    r"(?:^|/)(?:[\w.-]*\.env\.[\w.]*(?:example|sample|template)|[\w.-]*env\.example|example\.env)$"
)
COMMENTED = re.compile(r"^(\s*)#+\s*(?=(?:export\s+)?[A-Za-z_]\w*=)", re.MULTILINE)
PLACEHOLDER = re.compile(r"^<[^>]*>$")


def check(subject: Repository) -> Iterator[Found]:
    """Look at every value, also at those in comments."""
    for file in filter(FILES.search, subject.files):
        text = COMMENTED.sub(r"\1", subject.text(file))
        for number, line in enumerate(text.splitlines(), 1):
            for name, (value, _) in env_file(line).items():
                wrong = complaint(name, value) or ("a secret, by its name" if is_named(name) else "")
                if value and wrong and not PLACEHOLDER.match(value):
                    yield Found(Place(file, number), f"{name} is {wrong}", f"{name}=", name)
