"""Rules as rows: rules.yml of a folder holds what each demands, with its prose; a folder brings the few kinds
of demand there are.

    MAIL_CMP_006:
      name: "Restart policy: write restart: unless-stopped"
      severity: medium
      why: >-
        After a crash nobody is there to start the mail server by hand. …
      fix: Write restart that way
      bad: …
      good: …
      demand: {key: restart, one_of: [unless-stopped, always]}

`demand` is one demand or a list of them, of whatever shape the folder's check understands.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import yaml

from policies.model import Found, Severity
from policies.shared.rule import Rule

#: What a row must have besides its demand.
PROSE = ("name", "severity", "why", "fix", "bad", "good")
#: Yields the breaches of one demand in one subject.
Check = Callable[[Any, Any], Iterator[Found]]


def read(file: Path) -> Any:
    """Return a table of the gate's own."""
    return yaml.load(file.read_text(encoding="utf-8"), getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506


def rules(file: Path, base: type[Rule], check: Check) -> list[Rule]:
    """Return a rule for each row of a file.

    `base` says what the rules are asked about (`subjects`); `check(demand, subject)` is called once a demand.
    Raises ValueError for a row that lacks something.
    """
    return [_rule(rule_id, row, file, base, check) for rule_id, row in (read(file) or {}).items()]


def _rule(rule_id: str, row: dict[str, Any], file: Path, base: type[Rule], check: Check) -> Rule:
    missing = [key for key in (*PROSE, "demand") if not row.get(key)]
    if missing:
        raise ValueError(f"{file.name}: {rule_id} has no {', '.join(missing)}")
    demands = row["demand"] if isinstance(row["demand"], list) else [row["demand"]]

    def checked(self: Rule, subject: Any) -> Iterator[Found]:
        for demand in demands:
            yield from check(demand, subject)

    members = {
        "__doc__": row["why"],
        "__module__": base.__module__,
        "severity": Severity[row["severity"].upper()],
        "check": checked,
        **{key: row[key] for key in ("name", "fix", "bad", "good", "language") if key in row},
    }
    return type(rule_id, (base,), members)()
