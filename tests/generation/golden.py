"""The file list that a person has approved; `python -m tests.generation.golden` writes it anew for review."""

from __future__ import annotations

import tempfile
from pathlib import Path

import yaml

from tests.generation.repositories import COMBINATIONS, Repositories, files
from tools import covering

GOLDEN = Path(__file__).parent / "expected-files.yml"
HEAD = "# Approved file lists. To approve others: python -m tests.generation.golden, and look at the diff.\n"


def listed(root: Path) -> set[str]:
    """Return the paths of a repository's files."""
    return {path.as_posix() for path in files(root)}


def approved() -> tuple[set[str], dict[str, dict[str, set[str]]]]:
    """Return the approved files of the defaults, and what each other answer leaves out and adds."""
    loaded = yaml.safe_load(GOLDEN.read_text(encoding="utf-8"))
    changes = {
        name: {kind: set(paths) for kind, paths in change.items()}
        for name, change in loaded["changes"].items()
    }
    return set(loaded["defaults"]), changes


def expected(changes: covering.Changes) -> set[str]:
    """Return the approved files for a combination of answers."""
    found, by_answer = approved()
    each = [by_answer.get(covering.name({question: value}), {}) for question, value in changes.items()]
    for change in each:
        found = found - change.get("gone", set())
    return found.union(*(change.get("new", set()) for change in each))


def current(repositories: Repositories) -> dict[str, object]:
    """Return today's file lists in the form of the approved ones."""
    defaults, changes = listed(repositories["defaults"]), {}
    for name, changed in COMBINATIONS.items():
        question, value = next(iter(changed.items()), ("", None))
        beside = covering.BESIDE.get(question, {})
        if changed == {question: value, **beside}:
            before = (
                listed(repositories[covering.name(beside)]) if question in covering.options() else defaults
            )
            files_now = listed(repositories[name])
            change = {"gone": sorted(before - files_now), "new": sorted(files_now - before)}
            alone = covering.name({question: value})
            changes[alone] = {kind: paths for kind, paths in change.items() if paths}
    return {"defaults": sorted(defaults), "changes": {name: c for name, c in changes.items() if c}}


def main() -> None:
    """Write the file lists of today over the approved ones."""
    with tempfile.TemporaryDirectory() as folder:
        lists = current(Repositories(Path(folder), Path(folder) / "config"))
    body = yaml.safe_dump(lists, sort_keys=False, allow_unicode=True)
    GOLDEN.write_text(
        HEAD + body.replace("\n- ", "\n  - ").replace("\n    - ", "\n      - "), encoding="utf-8"
    )


if __name__ == "__main__":
    main()
