"""What every rule is: a row of a table with its prose, and the demand or the function that judges.

    MAIL_CMP_006:
      name: "Restart policy: write restart: unless-stopped"
      severity: medium
      why: >-
        After a crash nobody is there to start the mail server by hand. …
      fix: Write restart that way
      bad: …
      good: …
      demand: {key: restart, one_of: [unless-stopped, always]}

`demand` is one demand or a list of them, of whatever shape the folder's table.py understands. A row without
one has its function, `check(subject)`, in rules/<id>_….py.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml

from policies.model import Finding, Found, Severity
from policies.shared.repository import Repository

#: What a row must have.
PROSE = ("name", "severity", "why", "fix", "bad", "good")
#: The least that a reason has, in signs: less is a title.
SHORTEST_WHY = 60


@lru_cache(maxsize=64)
def read(file: Path) -> Any:
    """Return a table of the gate's own; whoever changes it changes a copy."""
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    return yaml.load(file.read_text(encoding="utf-8"), loader) or {}  # noqa: S506  # a safe loader


@dataclass(frozen=True)
class Kind:
    """One kind of file that is judged: what its rules are called with, and what a demand of its tables means.

    `demands` has the tables with rows, and for each the function that yields the breaches of one demand in
    one subject; None where every row has its function.
    """

    family: str
    language: str
    subjects: Callable[[Repository], Iterable[Any]]
    demands: dict[Path, Callable[[Any, Any], Iterator[Found]] | None]


@dataclass(frozen=True, eq=False)
class Rule:
    """A demand on one kind of file. `name` is the demand and the way to meet it in one line, `why` what
    happens otherwise, `fix` how to meet it in the imperative; `bad` and `good` are examples.
    """

    rule_id: str
    family: str
    name: str
    severity: Severity
    why: str
    fix: str
    bad: str
    good: str
    language: str
    subjects: Callable[[Repository], Iterable[Any]]
    check: Callable[[Any], Iterable[Found]]

    def findings(self, repository: Repository) -> Iterator[Finding]:
        """Yield every breach in a repository once, though several subjects may share a line."""
        seen = set()
        for subject in self.subjects(repository):
            for found in self.check(subject):
                key = (found.place, found.entity, found.what)
                if key not in seen:
                    seen.add(key)
                    said = (found.place, found.what, found.should, self.fix, found.entity)
                    yield Finding(self.rule_id, self.severity, *said, row=found.row)


def rule(rule_id: str, row: dict[str, Any], kind: Kind, check: Callable[[Any], Iterable[Found]]) -> Rule:
    """Return the rule of a row; raises ValueError for one that its reader could not understand."""
    missing = [key for key in PROSE if not row.get(key)]
    if missing:
        raise ValueError(f"{rule_id} has no {', '.join(missing)}")
    if len(row["why"]) < SHORTEST_WHY:
        raise ValueError(f"{rule_id}: why must say what happens otherwise")
    prose = {key: row[key] for key in ("name", "why", "fix", "bad", "good")}
    of = {"language": row.get("language", kind.language), "severity": Severity[row["severity"].upper()]}
    return Rule(rule_id, kind.family, subjects=kind.subjects, check=check, **of, **prose)


def by_demands(row: dict[str, Any], check: Callable[[Any, Any], Iterator[Found]]) -> Callable:
    """Return what judges a subject by the demands of a row."""
    demands = row["demand"] if isinstance(row["demand"], list) else [row["demand"]]
    return lambda subject: (found for demand in demands for found in check(demand, subject))
