"""What was decided when the repository was made, and what its example of variables says today."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

from policies.model import Place
from policies.shared.located import Unreadable, dig
from policies.shared.repository import Repository
from policies.terraform.blocks import number
from policies.terraform.module import parsed

EXAMPLE = "terraform.tfvars.example"
ANSWERS = ".cruft.json"
#: Files whose commands and environment reach Terraform.
COMMANDS = (
    ".github/*",
    "*akefile",
    "*.mk",
    "*.sh",
    ".env*",
    "*.env",
    "*/.env*",
    "*.service",
    "*compose*.y*ml",
)


def in_example(repository: Repository, folder: str, name: str) -> tuple[int, str] | None:
    """Return a number from the example of the variables, with the file that says so."""
    example = f"{folder}/{EXAMPLE}".lstrip("/")
    body = parsed(repository, example) if repository.has(example) else None
    node = body.attributes.get(name) if body else None
    value = node.parts[0].parts[0] if node and node.parts[0].parts else None
    return None if number(value) is None else (int(number(value) or 0), example)


def in_answers(repository: Repository, name: str) -> tuple[int, str] | None:
    """Return a number that was answered, where cruft has written it down."""
    try:
        answers = json.loads(repository.text(ANSWERS)) if repository.has(ANSWERS) else None
    except (Unreadable, ValueError, RecursionError):
        return None  # reported by whoever reads that file as what it is
    value = dig(answers, "context", "cookiecutter", name)
    return (int(value), ANSWERS) if str(value).isdecimal() else None


def answered(repository: Repository, folder: str, name: str) -> list[tuple[int, str]]:
    """Return what the answers and the example say, in this order."""
    found = [in_answers(repository, name), in_example(repository, folder, name)]
    return [each for each in found if each]


def told(repository: Repository, name: str) -> Iterator[tuple[str, Place]]:
    """Yield what commands and environments say of a variable, which beats every default and most files."""
    said = re.compile(rf"(?:\bTF_VAR_{name}[\"']?\s*[:=]|-var[=\s]+[\"']?{name}\s*=)\s*(?P<value>[^\s;&|]*)")
    for file in repository.matching(*COMMANDS):
        for at, line in enumerate(repository.text(file).splitlines(), 1):
            for found in said.finditer(line) if not line.lstrip().startswith("#") else ():
                yield found["value"].strip("\"'"), Place(file, at)
