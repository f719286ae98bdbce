"""What rules say and where: the one vocabulary of sources, rules and reports."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum


class Severity(IntEnum):
    """How bad it is if the rule is broken; reports sort by it, worst first."""

    LOW = 1
    MEDIUM = 2
    HIGH = 3
    CRITICAL = 4

    @property
    def word(self) -> str:
        """The name as reports write it."""
        return self.name.lower()


@dataclass(frozen=True, order=True)
class Place:
    """A line of a file. `file` is relative to the repository, with slashes; `line` counts from 1."""

    file: str
    line: int = 1

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


@dataclass(frozen=True)
class Found:
    """One breach of one rule, as the rule states it.

    `what` says what is there, `should` what must be there instead; both are sentences without a full stop.
    `entity` names the one setting that is wrong, such as `postfix/always_bcc` or `dovecot/cap_add/NET_ADMIN`:
    a waiver covers it and nothing beside it. `row` is the row for policy.yml that would allow it, if it is a
    matter of taste or of the host (`repository.policy.row(…)` writes it).
    """

    place: Place
    what: str
    should: str
    entity: str = ""
    row: str = ""


@dataclass(frozen=True)
class Finding:
    """One breach with all that a report needs; the gate makes it from a rule and its `Found`."""

    rule: str
    severity: Severity
    place: Place
    what: str
    should: str
    fix: str
    entity: str = ""
    waived: str = ""
    row: str = ""

    def sort_key(self) -> tuple:
        """Worst first, then by place."""
        return (-self.severity, self.place, self.rule, self.entity, self.what)


@dataclass(frozen=True)
class Problem:
    """A reason why the gate could not do its job: it makes the exit code 2. `row` is as in `Found`."""

    kind: str
    place: Place
    what: str
    fix: str
    row: str = ""

    def sort_key(self) -> tuple:
        """By kind, then by place."""
        return (self.kind, self.place, self.what)
