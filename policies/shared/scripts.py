"""Commands, wherever a repository has some: scripts, Makefiles, workflows, systemd units, cron files."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from policies.model import Place
from policies.shared.located import where
from policies.shared.rule import read

if TYPE_CHECKING:
    from policies.shared.repository import Repository

NAMES = read(Path(__file__).with_name("scripts.yml"))
#: The line that begins or ends a block of Markdown.
FENCE = re.compile(r"^\s*(?:```|~~~)\s*(?P<language>\w*)")
SHELL = re.compile(r"^#!.*\b(?:ba|da|z|k)?sh\b")


@dataclass(frozen=True)
class Command:
    """One logical line: continuation lines are joined, comments and runs of spaces are gone."""

    text: str
    place: Place


def logical(text: str, file: str, first: int = 1) -> Iterator[Command]:
    """Yield the commands of a shell text whose first line is line `first` of its file."""
    joined, start = "", first
    for number, line in enumerate(text.splitlines(), first):
        if not joined:
            start = number
        stripped = line.strip()
        if stripped.startswith("#") and not joined:
            continue
        if stripped.endswith("\\"):
            joined += stripped[:-1] + " "
            continue
        whole, joined = " ".join((joined + re.sub(r"\s#\s.*$", "", stripped)).split()), ""
        if whole:
            yield Command(whole.replace('"', "").replace("'", ""), Place(file, start))


def blocks(text: str, file: str, languages: Collection[str] = ()) -> Iterator[Command]:
    """Yield the commands in the fenced blocks of a Markdown text; without `languages` in every one."""
    block: list[str] | None = None
    first, counts = 0, False
    for number, line in enumerate(text.splitlines(), 1):
        fence = FENCE.match(line)
        if fence and block is not None:
            yield from logical("\n".join(block), file, first) if counts else ()
            block = None
        elif fence:
            block, first = [], number + 1
            counts = not languages or fence["language"].lower() in languages
        elif block is not None:
            block.append(line.removeprefix("$ "))


def documented(repository: Repository, languages: Collection[str] = ()) -> Iterator[Command]:
    """Yield the commands that documents show; sentences may warn of any."""
    for file in repository.matching("*.md"):
        if not file.startswith("platform/policies/"):
            yield from blocks(repository.text(file), file, languages)


def script_files(repository: Repository) -> list[str]:
    """Return the files with commands, by name or by their first line."""
    left_out = set(repository.matching(*NAMES["left_out"]))
    named = set(repository.matching(*NAMES["scripts"]))
    plain = [file for file in repository.files if "." not in file.rpartition("/")[2] and file not in left_out]
    return sorted((named | {file for file in plain if SHELL.match(repository.text(file)[:100])}) - left_out)


def commands(repository: Repository) -> Iterator[Command]:
    """Yield every command of a repository."""
    for file in script_files(repository):
        yield from logical(repository.text(file), file)
    for workflow in repository.workflows:
        for job in workflow.jobs():
            for step in job.steps():
                if isinstance(step.get("run"), str):
                    place = where(step, "run")
                    block = (
                        repository.text(workflow.file).splitlines()[place.line - 1].rstrip()[-1:] in "|>-+"
                    )
                    yield from logical(step["run"], workflow.file, place.line + block)
