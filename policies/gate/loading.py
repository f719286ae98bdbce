"""Loads the rules. One that cannot be loaded is a problem, never silence."""

from __future__ import annotations

import importlib.util
import sys
import traceback
from dataclasses import dataclass, field
from pathlib import Path

from policies.model import Place, Problem
from policies.rule import Rule, complaints

RULES = Path(__file__).parent.parent / "rules"


@dataclass
class Loaded:
    """The rules by id, the file of each, and why some could not be loaded."""

    rules: dict[str, Rule] = field(default_factory=dict)
    files: dict[str, Path] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)


def _import(path: Path, name: str) -> object:
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path.name} is no Python module")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def load(folder: Path = RULES) -> Loaded:
    """Load every rule below a folder."""
    loaded = Loaded()

    def wrong(path: Path, what: str, fix: str, line: int = 1) -> None:
        place = Place(path.relative_to(folder.parent.parent).as_posix(), line)
        loaded.problems.append(Problem("policy-broken", place, what, fix))

    paths = sorted(path for path in folder.rglob("*.py") if path.name != "__init__.py")
    if not paths:
        wrong(folder / "__init__.py", "there is no policy at all", "restore policies/rules from git")
    for path in paths:
        try:
            module = _import(path, f"policies.rules.{path.parent.name}.{path.stem}")
        except Exception as error:
            last = traceback.extract_tb(error.__traceback__)[-1]
            line = (
                last.lineno
                if last.filename == str(path) and last.lineno
                else getattr(error, "lineno", 1) or 1
            )
            wrong(path, f"it does not load: {type(error).__name__}: {error}", "mend the file", line)
            continue
        rule = getattr(module, "check", None)
        if not isinstance(rule, Rule):
            wrong(path, "it holds no rule", "end it with: check = MAIL_…()")
            continue
        if not path.stem.startswith(rule.rule_id.lower() + "_"):
            wrong(path, f"its rule is called {rule.rule_id}", f"call the file {rule.rule_id.lower()}_….py")
        for complaint in complaints(rule):
            wrong(path, complaint, "write it; CONTRIBUTING shows how")
        if rule.rule_id in loaded.rules:
            wrong(
                path,
                f"{rule.rule_id} is taken by {loaded.files[rule.rule_id].name}",
                "take the next free number",
            )
            continue
        loaded.rules[rule.rule_id] = rule
        loaded.files[rule.rule_id] = path
    return loaded
