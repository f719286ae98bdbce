"""Commands that documents, scripts and timers name, and whether a repository has what they call."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from policies.model import Place
from policies.shared.scripts import Command, commands, logical

if TYPE_CHECKING:
    from policies.shared.repository import Repository

FENCE = re.compile(r"^\s*(?:```|~~~)\s*(?P<language>\w*)")
SHELLS = ("sh", "bash", "shell", "console")
#: `make` at the beginning of a command, with its words; in another folder it has another Makefile.
MAKE = re.compile(r"(?:^|[;&|(]\s*|\bthen\s+|\bdo\s+|\bsudo\s+)make((?:\s+[^\s;&|)]+)*)")
ELSEWHERE = re.compile(r"(?:^|\s)(?:-C|-f|--directory|--file|--makefile)")
TARGET = re.compile(r"^(?P<names>[A-Za-z0-9_.%/ -]+?)\s*::?(?!=)", re.MULTILINE)
#: A program of the repository by its path.
PATH = re.compile(
    r"(?:^|[;&|(]\s*|\bsudo\s+|ExecStart=|\b(?:ba)?sh\s+)(?P<path>\.?/?(?:scripts|bin|ops)/[\w./-]+\w)"
)


def told(repository: Repository) -> Iterator[Command]:
    """Yield every command of scripts, timers and workflows, and of the shell blocks of documents."""
    yield from commands(repository)
    for file in repository.matching("*.md"):
        if file.startswith("policies/"):
            continue
        yield from _blocks(repository.text(file), file)


def _blocks(text: str, file: str) -> Iterator[Command]:
    block: list[str] | None = None
    first = 0
    for number, line in enumerate(text.splitlines(), 1):
        fence = FENCE.match(line)
        if fence and block is not None:
            yield from logical("\n".join(block), file, first)
            block = None
        elif fence and fence["language"].lower() in SHELLS:
            block, first = [], number + 1
        elif fence:
            # A block of something else: its lines are no commands.
            block, first = None, 0
        elif block is not None:
            block.append(line.removeprefix("$ "))


def targets(repository: Repository) -> set[str]:
    """Return the targets of the Makefile in the root folder, and of what it may include."""
    files = repository.matching("Makefile", "GNUmakefile", "*.mk")
    if not {"Makefile", "GNUmakefile"} & set(files):
        return set()
    found = (matched for file in files for matched in TARGET.finditer(repository.text(file)))
    return {name for matched in found for name in matched["names"].split()}


def missing(repository: Repository) -> Iterator[tuple[Place, str]]:
    """Yield each place that calls a target or a program that is not there."""
    known = targets(repository)
    for command in told(repository):
        for matched in MAKE.finditer(command.text) if known else ():
            if ELSEWHERE.search(matched[1]):
                continue
            for word in matched[1].split():
                plain = re.fullmatch(r"[a-z][a-z0-9-]*", word)
                if plain and word not in known and not any("%" in name for name in known):
                    yield command.place, f"make {word}"
        for matched in PATH.finditer(command.text):
            path = posixpath.normpath(matched["path"].lstrip("/"))
            if not matched["path"].startswith("/") and not repository.has(path):
                yield command.place, path
