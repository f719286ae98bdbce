"""Demands on commands, wherever a repository has some: `when` fits a command that matters, `unless` one that
is fine, and `needs` has patterns each of which some command of the same file, or of one that it names, must
fit. `documents: true` looks at the blocks of documents instead, which people copy.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from policies.config.reader import Configuration
from policies.model import Found
from policies.shared.scripts import Command, commands, documented

WORDS = frozenset({"documents", "when", "unless", "needs", "why", "should"})
#: What ends a command for good; what a pipe joins belongs together.
ENDS = re.compile(r"&&|\|\||;")


def check_commands(demand: dict[str, Any], subject: Configuration) -> Iterator[Found]:
    """Yield the commands of scripts, Makefiles, timers and workflows, or of documents, that break it."""
    name, source = ("documented", documented) if demand.get("documents") else ("commands", commands)
    found = subject.remember(name, lambda: list(source(subject.repository)))
    when, unless = re.compile(demand["when"], re.IGNORECASE), re.compile(demand.get("unless", "(?!)"))
    for command in found:
        for part in (each.strip() for each in ENDS.split(command.text)):
            if when.search(part) and not unless.search(part) and _lacks(demand, command, found):
                entity = f"{command.place.file}/{' '.join(part.split()[:4])}"
                yield Found(command.place, f"{demand['why']}: {part}", demand["should"], entity)


def _lacks(demand: dict[str, Any], command: Command, found: list[Command]) -> bool:
    needs = demand.get("needs")
    if not needs:
        return True
    file = command.place.file
    texts = [each.text for each in found if each.place.file == file or each.place.file in command.text]
    return not all(any(re.search(pattern, text) for text in texts) for pattern in needs)
