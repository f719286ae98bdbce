"""The mutations as data, by family: mutations/ has single edits that a rule must catch, harmless/ those that
none may.

An entry: `id`, `file`, one edit, `rule` (the only rule that may speak), `answers` if they are not the
defaults, and `refused: true` if `docker compose config` does not take the project either. `policy`: it is
harmless once the rows that its findings quote are in policy.yml, and these decide that. Or a group:
`rule` and `file`, and `each: {id: edit}`.

Edits: `replace: [old, new]` (old stands once in the file, or `count` times), `remove: text` (its whole
lines go), `append: text`, `content: text` (a new file or all of an old one), `delete: true`, `executable:
true|false`. `also: [{file: …, …}]` are edits of other files that belong to the same mutation.
"""

from __future__ import annotations

import hashlib
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

HERE = Path(__file__).parent
SUMS = "platform/checksums"


@dataclass(frozen=True)
class Mutation:
    """One mutation of one generated repository."""

    id: str
    rule: str
    edits: tuple[dict[str, Any], ...]
    answers: dict[str, Any] = field(default_factory=dict)
    refused: bool = False
    policy: tuple[str, ...] = ()

    def __str__(self) -> str:
        return self.id


def read(name: str) -> list[Mutation]:
    """Return the mutations of a folder."""
    files = sorted((HERE / name).glob("*.yml"))
    groups = [group for file in files for group in yaml.safe_load(file.read_text(encoding="utf-8"))]
    # A group has a rule and a file in common for all that its `each` names.
    entries = [
        {**group, "id": name, **edit}
        for group in groups
        for name, edit in group.get("each", {group.get("id"): {}}).items()
    ]
    return [
        Mutation(
            each["id"],
            each.get("rule", ""),
            (each, *each.get("also", ())),
            each.get("answers", {}),
            each.get("refused", False),
            tuple(each.get("policy", ())),
        )
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


def _change(path: Path, edit: dict[str, Any]) -> None:
    if "executable" in edit:
        before = path.stat().st_mode
        path.chmod(before | 0o111 if edit["executable"] else before & ~0o111)
        assert path.stat().st_mode != before, "the mutation changes nothing"
    elif edit.get("delete"):
        path.unlink()
    else:
        before = path.read_text(encoding="utf-8") if path.is_file() else ""
        after = _edited(before, edit)
        assert after != before, "the mutation changes nothing"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(after, encoding="utf-8")


def in_memory(root: Path, mutation: Mutation) -> tuple[dict[str, str | None], dict[str, bool]]:
    """Return the texts and the modes of files that a mutation of a repository changes; None: it is gone."""
    texts: dict[str, str | None] = {}
    modes: dict[str, bool] = {}
    for edit in mutation.edits:
        file = edit["file"]
        path = root / file
        if "executable" in edit:
            modes[file] = edit["executable"]
            before = path.is_file() and bool(path.stat().st_mode & 0o100)
            assert modes[file] != before, "the mutation changes nothing"
            continue
        before = texts[file] if file in texts else path.read_text("utf-8") if path.is_file() else None
        assert before is not None or not edit.get("delete"), f"there is no {file}"
        texts[file] = None if edit.get("delete") else _edited(before or "", edit)
        assert texts[file] != before, "the mutation changes nothing"
    return texts | _sealed(root, texts), modes


def _sealed(root: Path, texts: Mapping[str, str | None]) -> dict[str, str]:
    """Return the checksums of an edited platform/: what is wrong with an edit is another rule's to say."""
    edited = {
        name.removeprefix("platform/"): text for name, text in texts.items() if name.startswith("platform/")
    }
    if not edited or SUMS in texts:
        return {}
    came = dict(reversed(line.split("  ")) for line in (root / SUMS).read_text("utf-8").splitlines())
    new = {
        name: hashlib.sha256(text.encode()).hexdigest() for name, text in edited.items() if text is not None
    }
    left = {name: digest for name, digest in came.items() if name not in edited} | new
    return {SUMS: "".join(f"{digest}  {name}\n" for name, digest in sorted(left.items()))}


def mutate(root: Path, mutation: Mutation) -> None:
    """Change a git repository as the mutation says; git takes the files even where it would ignore them."""
    for edit in mutation.edits:
        _change(root / edit["file"], edit)
    files = [edit["file"] for edit in mutation.edits]
    texts = {file: path.read_text("utf-8") if (path := root / file).is_file() else None for file in files}
    for file, text in _sealed(root, texts).items():
        (root / file).write_text(text, encoding="utf-8")
        files.append(file)
    command = ["git", "-C", str(root), "add", "--all", "--force", "--", *files]
    subprocess.run(command, check=True, capture_output=True)
