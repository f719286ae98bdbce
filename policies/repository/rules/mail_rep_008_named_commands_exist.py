"""MAIL_REP_008: commands that are named exist."""

import posixpath
import re
from collections.abc import Iterator

from policies.model import Found
from policies.shared.repository import Repository
from policies.shared.scripts import commands, documented

SHELLS = ("sh", "bash", "shell", "console")
#: `make` at the beginning of a command, with its words; in another folder it has another Makefile.
MAKE = re.compile(r"(?:^|[;&|(]\s*|\bthen\s+|\bdo\s+|\bsudo\s+)make((?:\s+[^\s;&|)]+)*)")
ELSEWHERE = re.compile(r"(?:^|\s)(?:-C|-f|--directory|--file|--makefile)")
TARGET = re.compile(r"^(?P<names>[A-Za-z0-9_.%/ -]+?)\s*::?(?!=)", re.MULTILINE)
#: A program of the repository by its path.
PATH = re.compile(
    r"(?:^|[;&|(]\s*|\bsudo\s+|ExecStart=|\b(?:ba)?sh\s+)(?P<path>\.?/?(?:scripts|bin|ops)/[\w./-]+\w)"
)


def check(subject: Repository) -> Iterator[Found]:
    """Look at commands in scripts, units, workflows and the shell blocks of documents."""
    known = _targets(subject)
    for command in (*commands(subject), *documented(subject, SHELLS)):
        for name in (*(_make(command.text, known) if known else ()), *_programs(command.text, subject)):
            should = "a target or a file of this repository"
            yield Found(command.place, f"{name} does not exist", should, name)


def _targets(repository: Repository) -> set[str]:
    """Return the targets of the Makefile in the root folder, and of what it may include."""
    files = repository.matching("Makefile", "GNUmakefile", "*.mk")
    if not {"Makefile", "GNUmakefile"} & set(files):
        return set()
    found = (matched for file in files for matched in TARGET.finditer(repository.text(file)))
    return {name for matched in found for name in matched["names"].split()}


def _make(text: str, known: set[str]) -> Iterator[str]:
    """Yield the targets of make that are not there."""
    for matched in MAKE.finditer(text):
        for word in matched[1].split() if not ELSEWHERE.search(matched[1]) else ():
            plain = re.fullmatch(r"[a-z][a-z0-9-]*", word)
            if plain and word not in known and not any("%" in name for name in known):
                yield f"make {word}"


def _programs(text: str, repository: Repository) -> Iterator[str]:
    """Yield the programs of this repository that are not there."""
    for matched in PATH.finditer(text):
        path = posixpath.normpath(matched["path"].lstrip("/"))
        if not matched["path"].startswith("/") and not repository.has(path):
            yield path
