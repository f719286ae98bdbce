"""What one run is asked for, what it found, and how rules are run."""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from policies.model import Finding, Place, Problem
from policies.shared.located import Unreadable

if TYPE_CHECKING:
    from policies.gate.info import Info
    from policies.shared.repository import Repository
    from policies.shared.rule import Rule

FAMILIES = ("compose", "dockerfile", "terraform", "workflows", "config", "repository")


@dataclass
class Options:
    """What the command line asks for. Empty `only` means everything."""

    only: tuple[str, ...] = ()
    families: tuple[str, ...] = FAMILIES
    changed_since: str = ""
    require_tools: bool = False
    images: Mapping[str, str] = field(default_factory=dict)
    today: datetime.date = field(default_factory=datetime.date.today)

    def wants(self, rule: str) -> bool:
        """Tell whether a rule is asked for."""
        return not self.only or rule in self.only


@dataclass
class Report:
    """All that a run found. `notes` say what was not at hand; `ran` are the ids of what did run,
    `absent` those of checkers that were not at hand, or not to their end; the latter are in `partly` as well.
    """

    findings: list[Finding] = field(default_factory=list)
    waived: list[Finding] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    ran: list[str] = field(default_factory=list)
    absent: list[str] = field(default_factory=list)
    partly: list[str] = field(default_factory=list)

    @property
    def exit_code(self) -> int:
        """0 clean, 1 findings, 2 the gate could not do its job."""
        return 2 if self.problems else 1 if self.findings else 0

    def sort(self) -> None:
        """Put everything into the order of the report, each thing once."""
        self.findings = sorted(set(self.findings), key=Finding.sort_key)
        self.waived = sorted(set(self.waived), key=Finding.sort_key)
        self.problems = sorted(set(self.problems), key=Problem.sort_key)


@dataclass
class Result:
    """The report of a run, and what is known about every id that may stand in it."""

    report: Report
    infos: dict[str, Info]


def run_rules(repository: Repository, rules: Iterable[Rule], report: Report) -> None:
    """Run each rule; one that raises is a problem: nobody knows what it would have found."""
    for rule in rules:
        try:
            report.findings += rule.findings(repository)
            report.ran.append(rule.rule_id)
        except Unreadable as error:
            fix = "write it in a simpler way"
            report.problems.append(Problem("unreadable", error.place, str(error), fix))
        except Exception as error:
            what = f"{rule.rule_id} raised {type(error).__name__}: {error}"
            fix = "fix the policy: it must cope with any shape"
            report.problems.append(Problem("policy-raised", Place("policies"), what, fix))
