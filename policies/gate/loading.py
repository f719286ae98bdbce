"""Loads the rules. One that cannot be loaded is a problem, never silence."""

from __future__ import annotations

import importlib.util
import re
import sys
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from policies.model import Place, Problem
from policies.shared.rule import Rule, complaints

PROMISED = re.compile(r"### (?P<id>MAIL_\w+)")
POLICIES = Path(__file__).parent.parent


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


def _error_line(error: Exception, path: Path) -> int:
    """Return the line of a file at which it failed."""
    last = traceback.extract_tb(error.__traceback__)[-1]
    own = last.lineno if last.filename == str(path) else getattr(error, "lineno", 1)
    return own or 1


def load(folder: Path = POLICIES) -> Loaded:
    """Load every rule: the files in the folder `rules` of each kind of file."""
    loaded = Loaded()

    def wrong(path: Path, what: str, fix: str, line: int = 1) -> None:
        place = Place(path.relative_to(folder.parent).as_posix(), line)
        loaded.problems.append(Problem("policy-broken", place, what, fix))

    for path in sorted(folder.glob("*/table.py")):
        if (path.parent / "rules.yml").is_file():
            _rows(path, loaded, wrong)
    paths = sorted(path for path in folder.glob("*/rules/*.py") if path.name != "__init__.py")
    if not (paths or loaded.rules):
        wrong(folder / "__init__.py", "there is no policy at all", "restore policies/ from git")
    for path in paths:
        try:
            module = _import(path, f"policies.{path.parent.parent.name}.rules.{path.stem}")
        except Exception as error:
            what = f"it does not load: {type(error).__name__}: {error}"
            wrong(path, what, "fix the file", _error_line(error, path))
            continue
        rule = getattr(module, "check", None)
        if not isinstance(rule, Rule):
            wrong(path, "it holds no rule", "end it with: check = MAIL_…()")
            continue
        for complaint in _complaints(rule, path, loaded):
            wrong(path, *complaint)
        loaded.rules.setdefault(rule.rule_id, rule)
        loaded.files.setdefault(rule.rule_id, path)
    for line, rule_id in _promised(folder):
        if rule_id not in loaded.rules:
            what, fix = (
                f"{rule_id} is gone, though this page promises it",
                "restore it, or make policies-docs",
            )
            place = Place("policies/RULES.md", line)
            loaded.problems.append(Problem("policy-missing", place, what, fix))
    return loaded


def _rows(path: Path, loaded: Loaded, wrong: Callable[..., None]) -> None:
    """Load the rules that are rows of a table: `table.py` of a folder has them as `RULES`."""
    try:
        rows: list[Rule] = getattr(_import(path, f"policies.{path.parent.name}.table"), "RULES", [])
    except Exception as error:
        what = f"its rules.yml does not load: {type(error).__name__}: {error}"
        wrong(path, what, "fix the row, or the file", _error_line(error, path))
        return
    for rule in rows:
        for complaint in complaints(rule):
            wrong(path.with_name("rules.yml"), complaint, "write it; CONTRIBUTING shows how")
        if rule.rule_id in loaded.rules:
            wrong(path.with_name("rules.yml"), f"{rule.rule_id} is taken", "take the next free number")
        loaded.rules.setdefault(rule.rule_id, rule)
        loaded.files.setdefault(rule.rule_id, path)


def _promised(folder: Path) -> Iterator[tuple[int, str]]:
    """Yield the rules that the generated page has: one that is deleted is missed there."""
    page = folder / "RULES.md"
    lines = page.read_text(encoding="utf-8").splitlines() if page.is_file() else []
    for number, line in enumerate(lines, 1):
        if matched := PROMISED.fullmatch(line):
            yield number, matched["id"]


def _complaints(rule: Rule, path: Path, loaded: Loaded) -> Iterator[tuple[str, str]]:
    """Yield what is wrong with a rule, and how to fix it."""
    if not path.stem.startswith(rule.rule_id.lower() + "_"):
        yield f"its rule is called {rule.rule_id}", f"call the file {rule.rule_id.lower()}_….py"
    for complaint in complaints(rule):
        yield complaint, "write it; CONTRIBUTING shows how"
    if rule.rule_id in loaded.files:
        yield f"{rule.rule_id} is taken by {loaded.files[rule.rule_id].name}", "take the next free number"
