"""What every checker shares."""

from __future__ import annotations

import textwrap
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field

from policies.gate.info import OTHERS
from policies.model import Finding, Place, Problem
from policies.shared.repository import Repository

#: How much of a checker's last words is shown.
LONGEST = 400


@dataclass
class Outcome:
    """What a checker found, what it only warns of (`notes`), or why it did not run to its end (`absent`).

    `partly`: it ran, but not to its end.
    """

    findings: list[Finding] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    absent: str = ""
    partly: bool = False


class Tool(ABC):
    """A checker. `needed` tells whether the repository has what it checks; `run` checks it."""

    rule: str
    #: What it is called when it is not at hand.
    title: str

    @property
    def judges(self) -> str:
        """The family of what it judges."""
        return OTHERS[self.rule].judges

    @abstractmethod
    def needed(self, repository: Repository) -> bool:
        """Tell whether there is anything to check."""

    @abstractmethod
    def run(self, repository: Repository, images: Mapping[str, str]) -> Outcome:
        """Check it; `images` are those to use for services instead of their own."""

    def finding(self, place: Place, what: str, should: str = "", entity: str = "") -> Finding:
        """Return a finding of this checker."""
        info = OTHERS[self.rule]
        return Finding(self.rule, info.severity, place, what, should or info.name, info.fix, entity)

    def broken(self, what: str) -> Outcome:
        """Return the outcome of a checker that ran and said nothing usable."""
        fix = "run it by hand to see what it lacks"
        what = textwrap.shorten(what.partition("Stack backtrace")[0], LONGEST, placeholder=" …")
        return Outcome(problems=[Problem("tool-failed", Place("."), f"{self.title}: {what}", fix)])
