"""MAIL_REP_001: .gitignore keeps secrets out."""

from collections.abc import Iterator
from fnmatch import fnmatch

from policies.model import Found, Place
from policies.shared.repository import Repository

KEPT = (".env", ".env.*", "*.key", "*.pem", "secrets", "secrets/*", "terraform.tfvars", "[*]")
#: Names that a wide exception must not fit.
OUT = (
    ".env",
    ".env.production",
    "server.key",
    "tls/server.pem",
    "secrets",
    "secrets/relay_password",
    "terraform.tfvars",
)
NEEDED = (".env", ".env.*", "!.env.example", "*.key", "*.pem", "secrets/", "terraform.tfvars")


def check(subject: Repository) -> Iterator[Found]:
    """Look for each pattern as a line of its own that no later line takes back."""
    if ".gitignore" not in subject.files:
        yield Found(
            Place(".gitignore"), "there is no .gitignore", "one with " + ", ".join(NEEDED), ".gitignore"
        )
        return
    lines = [line.rstrip() for line in subject.text(".gitignore").split("\n")]
    for pattern in NEEDED:
        if pattern not in lines:
            yield Found(Place(".gitignore"), f"{pattern} is missing", f"the line {pattern}", pattern)
    for number, line in enumerate(lines, 1):
        if line not in NEEDED and _takes_back(line):
            place = Place(".gitignore", number)
            yield Found(place, f"{line} takes a pattern back", "no exception but !.env.example", line)
    yield from _deeper(subject)


def _takes_back(line: str) -> bool:
    """Tell whether a line is an exception that lets something back in which must stay out."""
    exception = line.strip().removeprefix("!").strip("/")
    wide = exception.replace("**", "*")
    return line.startswith("!") and (
        exception in NEEDED
        or any(fnmatch(exception, each) or fnmatch(exception, f"*/{each}") for each in KEPT)
        or any(fnmatch(name, wide) for name in OUT)
    )


def _deeper(subject: Repository) -> Iterator[Found]:
    """A .gitignore further down wins over the one at the top."""
    for file in subject.matching("*/.gitignore"):
        for number, line in enumerate(subject.text(file).splitlines(), 1):
            if _takes_back(line):
                yield Found(Place(file, number), f"{line} takes a pattern back", "no such exception", line)
