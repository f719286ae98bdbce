"""Commands, wherever a repository has some: scripts, Makefiles, workflows, systemd units, cron files,
package.json.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from policies.model import Place
from policies.shared.located import where

if TYPE_CHECKING:
    from policies.shared.repository import Repository

NAMES = (
    "*.zsh",
    "*.ksh",
    "*.fish",
    "*.bat",
    "*.cmd",
    "*.path",
    "*/cron.daily/*",
    "*/cron.weekly/*",
    "*/cron.monthly/*",
    "*/cron.hourly/*",
    "*.sh",
    "*.bash",
    "*akefile",
    "*.mk",
    "*.service",
    "*.timer",
    "*crontab*",
    "*/cron.d/*",
    "*.cron",
    "*.ps1",
    "*justfile",
)
#: Text for people, and the gate's own examples.
LEFT_OUT = ("policies/*", "*.md", "*/tests/*", "tests/*")
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


def script_files(repository: Repository) -> list[str]:
    """Return the files with commands, by name or by their first line."""
    left_out = set(repository.matching(*LEFT_OUT))
    named = set(repository.matching(*NAMES))
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
    for file in repository.matching("*package.json"):
        try:
            scripts = json.loads(repository.text(file)).get("scripts", {})
        except (ValueError, AttributeError, RecursionError):
            continue
        for text in scripts.values() if isinstance(scripts, dict) else ():
            yield from (Command(each.text, Place(file)) for each in logical(str(text), file))
