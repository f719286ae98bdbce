"""Loads the rules. One that cannot be loaded is a problem, never silence."""

from __future__ import annotations

import importlib.util
import re
import sys
import traceback
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import ModuleType

from policies.model import Place, Problem
from policies.shared.rule import Kind, Rule, by_demands, read, rule

POLICIES = Path(__file__).parent.parent
ID = re.compile(r"MAIL_(?:CMP|DKR|TF|GHA|CFG|REP)_\d{3}")
LISTED = re.compile(rf"### (?P<id>{ID.pattern})")


@dataclass
class Loaded:
    """The rules by id, the file of each, and why some could not be loaded."""

    rules: dict[str, Rule] = field(default_factory=dict)
    files: dict[str, Path] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def broken(self, path: Path, error: Exception, folder: Path) -> None:
        """Note that a file, or one row of it, does not load."""
        last = traceback.extract_tb(error.__traceback__)[-1]
        own = last.lineno if last.filename == str(path) else getattr(error, "lineno", 1)
        what = f"it does not load: {type(error).__name__}: {error}"
        place = Place(path.relative_to(folder.parent).as_posix(), own or 1)
        self.problems.append(Problem("policy-broken", place, what, "fix it; CONTRIBUTING shows how"))


def _import(path: Path, folder: Path) -> ModuleType:
    name = ".".join(("policies", *path.relative_to(folder).with_suffix("").parts))
    if name in sys.modules and sys.modules[name].__file__ == str(path):
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path.name} is no Python module")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def load(folder: Path = POLICIES) -> Loaded:
    """Load every rule: the rows of each kind's tables, and the functions that some of them name."""
    loaded = Loaded()
    for path in sorted(folder.glob("*/table.py")):
        try:
            kind = _import(path, folder).KIND
        except Exception as error:
            loaded.broken(path, error, folder)
            continue
        _load_kind(kind, path.parent / "rules", folder, loaded)
    if not loaded.rules:
        what, fix = "there is no policy at all", "restore policies/ from git"
        loaded.problems.append(Problem("policy-broken", Place(f"{folder.name}/__init__.py"), what, fix))
    for line, rule_id in _listed(folder):
        if rule_id not in loaded.rules:
            what, fix = f"{rule_id} is gone, though this page has it", "restore it, or make policies-docs"
            place = Place(f"{folder.name}/RULES.md", line)
            loaded.problems.append(Problem("policy-missing", place, what, fix))
    return loaded


def _load_kind(kind: Kind, functions: Path, folder: Path, loaded: Loaded) -> None:
    code = {path.stem[: path.stem.index("_", 9)].upper(): path for path in functions.glob("mail_*_*_*.py")}
    for file, check in kind.demands.items():
        for rule_id, row in read(file).items():
            path = file if "demand" in row else code.pop(rule_id, file)
            try:
                if not ID.fullmatch(rule_id) or rule_id in loaded.rules:
                    raise ValueError(f"{rule_id} is no id such as MAIL_CMP_001, or another rule has it")
                if "demand" in row:
                    loaded.rules[rule_id] = rule(rule_id, row, kind, by_demands(row, check))
                else:
                    module = _import(path, folder)
                    subjects = getattr(module, "subjects", kind.subjects)
                    loaded.rules[rule_id] = rule(rule_id, row, replace(kind, subjects=subjects), module.check)
                loaded.files[rule_id] = path
            except Exception as error:
                loaded.broken(path, error, folder)
    for path in code.values():
        loaded.broken(path, ValueError("no row of rules.yml has its id"), folder)


def _listed(folder: Path) -> Iterator[tuple[int, str]]:
    """Yield the rules that the generated page has: one that is deleted is missed there."""
    page = folder / "RULES.md"
    lines = page.read_text(encoding="utf-8").splitlines() if page.is_file() else []
    for number, line in enumerate(lines, 1):
        if matched := LISTED.fullmatch(line):
            yield number, matched["id"]
