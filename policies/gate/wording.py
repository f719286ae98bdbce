"""What every report for people says in the same words."""

from __future__ import annotations

from collections.abc import Iterable, Sized
from dataclasses import replace

from policies.gate.check import Result
from policies.model import Finding

WORDS = {0: "clean", 1: "findings", 2: "the gate could not do its job"}


def headline(result: Result) -> str:
    """Return the run in one line."""
    report = result.report
    ran = _count(report.ran, "rule or checker", "rules and checkers")
    found, problems = _count(report.findings, "finding"), _count(report.problems, "problem")
    return f"{ran} ran: {found}, {problems}, {len(report.waived)} waived → {WORDS[report.exit_code]}"


def _count(things: Sized, one: str, more: str = "") -> str:
    return f"{len(things)} {one if len(things) == 1 else more or one + 's'}"


def with_entity(finding: Finding) -> str:
    """Return what is there, and of which thing."""
    known = not finding.entity or finding.entity in finding.what
    return finding.what if known else f"{finding.entity}: {finding.what}"


def together(findings: Iterable[Finding]) -> list[Finding]:
    """Return findings for people: one where only the entity differs, as in services that share a setting."""
    found: dict[Finding, list[str]] = {}
    for each in findings:
        found.setdefault(replace(each, entity=""), []).append(each.entity)
    return [replace(each, entity=", ".join(filter(None, names))) for each, names in found.items()]
