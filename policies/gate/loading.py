"""Loads the rules. One that cannot be loaded ends the run, never in silence."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from types import ModuleType

from policies.shared.rule import Kind, Rule, by_demands, read, rule

POLICIES = Path(__file__).parent.parent
ID = re.compile(r"MAIL_(?:CMP|DKR|TF|GHA|CFG|REP)_\d{3}")


def load() -> dict[str, Rule]:
    """Return every rule by its id: the rows of each kind's tables, and the functions that some of them name.

    Raises ValueError for an id that is none or that two rules have, and whatever keeps a module from loading.
    """
    rules: dict[str, Rule] = {}
    for path in sorted(POLICIES.glob("*/table.py")):
        for each in _of_kind(_import(path).KIND, path.parent / "rules"):
            if not ID.fullmatch(each.rule_id) or each.rule_id in rules:
                raise ValueError(f"{each.rule_id} is no id such as MAIL_CMP_001, or another rule has it")
            rules[each.rule_id] = each
    return rules


def _import(path: Path) -> ModuleType:
    return import_module(".".join(("policies", *path.relative_to(POLICIES).with_suffix("").parts)))


def _of_kind(kind: Kind, functions: Path) -> Iterator[Rule]:
    code = {path.stem[: path.stem.index("_", 9)].upper(): path for path in functions.glob("mail_*_*_*.py")}
    for file, check in kind.demands.items():
        for rule_id, row in read(file).items():
            if "demand" in row:
                yield rule(rule_id, row, kind, by_demands(row, check))
            else:
                module = _import(code.pop(rule_id))
                subjects = getattr(module, "subjects", kind.subjects)
                yield rule(rule_id, row, replace(kind, subjects=subjects), module.check)
    if code:
        raise ValueError(f"no row of rules.yml has the id of {', '.join(map(str, code.values()))}")
