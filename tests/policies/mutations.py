"""The mutations as data, by family: mutations/ has single edits that a rule must catch, harmless/ those that none
may.

An entry: `id`, `file`, one edit, `rule` (the only rule that may speak), and `answers` if they are not the
defaults. Edits: `replace: [old, new]` (old stands once in the file, or `count` times), `remove: text` (its
whole lines go), `append: text`, `content: text` (a new file or all of an old one), `delete: true`,
`executable: true|false`. `also: [{file: …, …}]` are edits of other files that belong to the same mutation.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from policies.sources.repository import Repository

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Mutation:
    """One mutation of one generated repository."""

    id: str
    rule: str
    edits: tuple[dict[str, Any], ...]
    answers: dict[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return self.id


def read(name: str) -> list[Mutation]:
    """Return the mutations of a folder."""
    files = sorted((HERE / name).glob("*.yml"))
    entries = [entry for file in files for entry in yaml.safe_load(file.read_text(encoding="utf-8"))]
    return [
        Mutation(each["id"], each.get("rule", ""), (each, *each.get("also", ())), each.get("answers", {}))
        for each in entries
    ]


def _edited(text: str, edit: dict[str, Any]) -> str:
    if "replace" in edit:
        old, new = edit["replace"]
        assert text.count(old) == edit.get("count", 1), f"{old!r} stands {text.count(old)} times"
        return text.replace(old, new)
    if "remove" in edit:
        assert text.count(edit["remove"]) == edit.get("count", 1), (
            f"{edit['remove']!r} is not there just once"
        )
        gone = edit["remove"].splitlines()
        return _without(text, gone)
    if "append" in edit:
        return text + edit["append"]
    return edit["content"]


def _without(text: str, gone: list[str]) -> str:
    lines = text.splitlines(keepends=True)
    for number in range(len(lines)):
        window = lines[number : number + len(gone)]
        if len(window) == len(gone) and all(part in line for part, line in zip(gone, window, strict=True)):
            return "".join(lines[:number] + lines[number + len(gone) :])
    raise AssertionError(f"{gone} are not lines that follow each other")


def mutated(root: Path, mutation: Mutation) -> Repository:
    """Return the repository as it would be after the mutation; nothing is written."""
    changes: dict[str, str | None] = {}
    modes: dict[str, bool] = {}
    plain = Repository(root)
    for edit in mutation.edits:
        file = edit["file"]
        if "executable" in edit:
            modes[file] = edit["executable"]
        elif edit.get("delete"):
            assert plain.has(file), f"there is no {file}"
            changes[file] = None
        else:
            before = changes.get(file) or (plain.text(file) if plain.has(file) else "")
            changes[file] = _edited(before, edit)
            assert changes[file] != before, "the mutation changes nothing"
    return Repository(root, changes, modes)
