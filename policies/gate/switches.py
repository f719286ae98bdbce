"""What switches a check off where nobody sees it: comments, and settings files of the checkers."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from fnmatch import fnmatchcase
from functools import lru_cache
from typing import Any

from policies.model import Place
from policies.shared.located import dig, sequence, where
from policies.shared.repository import Repository
from policies.shared.tables import table

FIX = "remove it; if it must be, write a waiver with reason and end in policy.yml"


@lru_cache(maxsize=1)
def _comments() -> tuple[re.Pattern[str], dict[str, re.Pattern[str]]]:
    """Return one expression for all comments, which is fast, and one for each program."""
    comments = table("switches")["comments"]
    flags = re.IGNORECASE | re.MULTILINE
    every = "|".join(f"(?:{pattern})" for pattern in comments.values())
    return re.compile(every, flags), {name: re.compile(each, flags) for name, each in comments.items()}


def _counts(program: str, families: Iterable[str]) -> bool:
    """Tell whether a program judges files of one of these families; most judge several."""
    return table("switches")["judges"].get(program) in (None, *families)


def comments(repository: Repository, families: Iterable[str]) -> None:
    """Note each comment that would switch a check off."""
    prose = set(repository.matching(*table("switches")["prose"]))
    for file in (each for each in repository.files if each not in prose):
        said = _in_text(repository.text(file))
        for number, program in (each for each in said if _counts(each[1], families)):
            what = f"a comment switches a check of {program} off"
            repository.problem("inline-skip", Place(file, number), what, FIX)


@lru_cache(maxsize=1024)
def _in_text(text: str) -> tuple[tuple[int, str], ...]:
    """Return line and program of each such comment; remembered, since most files stay as they are."""
    every, each = _comments()
    lines = enumerate(text.splitlines(), 1) if every.search(text) else ()
    return tuple(
        (number, next(name for name, pattern in each.items() if pattern.search(line)))
        for number, line in lines
        if every.search(line)
    )


def _program(file: str) -> str:
    """Return whose settings file this is; nothing if nobody's."""
    path = file.lower()
    name = path.rpartition("/")[2]
    for program, patterns in table("switches")["files"].items():
        if any(fnmatchcase(name, each) or fnmatchcase(path, each) for each in patterns):
            return program
    return ""


def settings(repository: Repository, families: Iterable[str]) -> None:
    """Note each settings file by which a checker looks away, and what an allowed one leaves out anew."""
    allowed, prose = table("switches")["allowed"], set(repository.matching(*table("switches")["prose"]))
    decided = {check for checks in table("checkov").values() for check in checks}
    for file in (each for each in repository.files if each not in prose):
        if file in allowed:
            for place, check in _left_out(repository, file):
                if check not in decided:
                    what = f"it leaves {check} out, which nobody decided"
                    fix = "take it out, or write its reason into policies/data/checkov.yml"
                    repository.problem("inline-skip", place, what, fix)
        elif (program := _program(file)) and _counts(program, families):
            what = f"a settings file by which {program} may look away"
            repository.problem("inline-skip", Place(file), what, FIX)


def _left_out(repository: Repository, file: str) -> Iterator[tuple[Place, Any]]:
    """Yield every check that a settings file of checkov leaves out, under any of its keys for that."""
    for document in repository.yaml(file):
        for key in ("skip-check", "skip_check"):
            for number, check in enumerate(sequence(dig(document, key))):
                for name in str(check).replace(",", " ").split():
                    yield where(document, key, number), name
        for key in (
            "check",
            "skip-path",
            "skip_path",
            "soft-fail",
            "soft_fail",
            "skip-framework",
            "baseline",
        ):
            if dig(document, key):
                yield where(document, key), key
