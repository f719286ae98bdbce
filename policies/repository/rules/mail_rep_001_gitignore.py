"""MAIL_REP_001: .gitignore keeps secrets out."""

from collections.abc import Iterator
from fnmatch import fnmatch

from policies.model import Found, Place
from policies.shared.repository import Repository

#: What no exception may let in: each is compared as a pattern, and as a name that a wide exception would fit.
KEPT = (".env", ".env.*", "*.key", "*.pem", "secrets", "secrets/*", "terraform.tfvars")
NEEDED = (".env", ".env.*", "!.env.example", "*.key", "*.pem", "secrets/", "terraform.tfvars")


def check(subject: Repository) -> Iterator[Found]:
    """Look for each pattern as a line of its own that no later line, here or further down, takes back."""
    top = subject.text(".gitignore") if ".gitignore" in subject.files else ""
    lines = [line.rstrip() for line in top.split("\n")]
    for pattern in NEEDED:
        if pattern not in lines:
            yield Found(Place(".gitignore"), f"{pattern} is missing", f"the line {pattern}", pattern)
    for file in subject.matching(".gitignore", "*/.gitignore"):
        for number, line in enumerate(subject.text(file).split("\n"), 1):
            if line.startswith("!") and line.rstrip() != "!.env.example" and _lets_in(line):
                what = f"{line} takes a pattern back"
                yield Found(Place(file, number), what, "no exception but !.env.example", line)


def _lets_in(line: str) -> bool:
    exception = line.strip().removeprefix("!").strip("/")
    wide = exception.replace("**", "*")
    return any(
        fnmatch(exception, each) or fnmatch(exception, f"*/{each}") or fnmatch(each, wide) for each in KEPT
    )
