"""Runs rules over a repository and gathers what they say."""

from __future__ import annotations

import traceback
from collections.abc import Iterable
from dataclasses import dataclass, field

from policies.gate.loading import POLICIES, Loaded
from policies.model import Finding, Place, Problem
from policies.shared.located import Unreadable
from policies.shared.repository import Repository
from policies.shared.rule import Rule


@dataclass
class Report:
    """All that a run found. `notes` say what was not at hand; `ran` are the ids of what did run,
    `absent` those of checkers that were not at hand, `partly` those of them that did a part of their work.
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


def run_rules(repository: Repository, rules: Iterable[Rule], loaded: Loaded, report: Report) -> None:
    """Run each rule; one that raises is a problem: nobody knows what it would have found."""
    for rule in rules:
        try:
            report.findings += rule.findings(repository)
            report.ran.append(rule.rule_id)
        except Unreadable as error:
            fix = "write it in a simpler way"
            report.problems.append(Problem("unreadable", error.place, str(error), fix))
        except Exception as error:
            path = loaded.files.get(rule.rule_id)
            frames = traceback.extract_tb(error.__traceback__)
            line = next(
                (frame.lineno for frame in reversed(frames) if path and frame.filename == str(path)), 1
            )
            place = Place(path.relative_to(POLICIES.parent).as_posix() if path else rule.rule_id, line or 1)
            what = f"{rule.rule_id} raised {type(error).__name__}: {error}"
            report.problems.append(
                Problem("policy-raised", place, what, "fix the policy: it must cope with any shape")
            )
