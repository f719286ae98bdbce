"""What can be said about any id in a report: `--explain`, `--list`, SARIF help, documentation."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from policies.model import Severity
from policies.shared.rule import Rule, read

#: From the least severity to the worst, as everywhere.
COLOURS = dict(zip(Severity, ("cyan", "yellow", "red", "bold red"), strict=True))


@dataclass(frozen=True)
class Info:
    """One rule as its reader needs it."""

    id: str
    name: str
    severity: Severity
    family: str
    why: str
    fix: str
    bad: str = ""
    good: str = ""
    language: str = "text"
    link: str = ""
    #: The kind of files, as --families names it; without one it is a part of every run.
    judges: str = ""


def of_rule(rule: Rule) -> Info:
    """Return what a rule of ours says about itself."""
    prose = (rule.rule_id, rule.name, rule.severity, rule.family, rule.why, rule.fix)
    return Info(*prose, rule.bad, rule.good, rule.language, judges=rule.family)


#: Everything that is no rule of ours, from checkers.yml beside this file.
OTHERS = {
    name: Info(name, **(row | {"severity": Severity[row["severity"].upper()]}))
    for name, row in read(Path(__file__).with_name("checkers.yml")).items()
}
