"""What can be said about any id in a report, whoever found it: `--explain`, `--list`, SARIF help,
documentation.
"""

from __future__ import annotations

from dataclasses import dataclass

from policies.model import Severity
from policies.shared.rule import Rule
from policies.shared.tables import table

COLOURS = {
    Severity.CRITICAL: "bold red",
    Severity.HIGH: "red",
    Severity.MEDIUM: "yellow",
    Severity.LOW: "cyan",
}


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
    kind = type(rule)
    return Info(
        rule.rule_id,
        kind.name,
        kind.severity,
        kind.family,
        rule.why,
        kind.fix,
        kind.bad,
        kind.good,
        kind.language,
        judges=kind.family,
    )


def _others() -> dict[str, Info]:
    rows = table("checkers").items()
    return {
        name: Info(
            name,
            row["name"],
            Severity[row["severity"].upper()],
            row["family"],
            row["why"],
            row["fix"],
            judges=row.get("judges", ""),
        )
        for name, row in rows
    }


#: Everything that is no rule of ours, from policies/data/checkers.yml.
OTHERS = _others()
