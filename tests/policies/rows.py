"""Rows of policy.yml that the gate prints: pasted where they say, one after the other."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping

import yaml
from judging import FILES, Judge

from policies.gate.check import _without_what_follows
from policies.model import Finding, Problem
from policies.shared.policy import FILE

WHERE = re.compile(
    r"# policy\.yml, (?:below line (?P<below>\d+)|in place of line (?P<instead>\d+)|at its end).*"
)
#: More rows than any edit needs: each must settle something.
MOST = 20
Said = Finding | Problem


def pasted(text: str, row: str) -> str:
    """Return policy.yml with a row where its first line says."""
    place, *rows = row.splitlines()
    lines, at = text.splitlines(), WHERE.fullmatch(place)
    assert at, place
    number = int(at["below"] or at["instead"] or len(lines))
    lines[number - bool(at["instead"]) : number] = rows
    return "\n".join(lines) + "\n"


def said(
    judge: Judge, texts: Mapping[str, str | None], modes: Mapping[str, bool], asked: Collection[str] = ()
) -> list[Said]:
    """Return everything that the gate says of a version of a repository, or some rules."""
    repository, report = judge.judge(texts, modes, asked)
    problems = dict.fromkeys([*report.problems, *repository.problems])
    return [*problems, *_without_what_follows(repository, report)]


def left(
    judge: Judge, texts: Mapping[str, str | None], modes: Mapping[str, bool], found: list[Said]
) -> tuple[list[Said], set[str]]:
    """Return what is left of findings once all rows are in policy.yml, and what these decide."""
    before = (judge.base.root / FILE).read_text(encoding="utf-8")
    texts, spoke = {FILE: before, **texts}, {getattr(each, "rule", FILES) for each in found}
    for _ in range(MOST):
        row = next((each.row for each in found if each.row), "")
        if not row:
            return found, set(map(decision, leaves(texts[FILE]) - leaves(before)))
        texts[FILE] = pasted(texts[FILE], row)
        # Whoever spoke is asked first, and everybody once there is no row left.
        found = said(judge, texts, modes, spoke)
        if not any(each.row for each in found):
            found = said(judge, texts, modes)
    raise AssertionError(f"there is no end to the rows; the last one: {row}")


def leaves(text: str) -> set[tuple[str, ...]]:
    """Return each value of policy.yml behind the keys that lead to it."""

    def below(node: object, path: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
        if isinstance(node, dict):
            yield from (leaf for key, value in node.items() for leaf in below(value, (*path, str(key))))
        elif isinstance(node, list):
            yield from ((*path, str(each)) for each in node)
        else:
            yield (*path, str(node))

    return set(below(yaml.safe_load(text), ()))


def decision(path: tuple[str, ...]) -> str:
    """Return what the schema of policy.yml calls a decision, without the name of the service or network."""
    if path[0] in ("services", "networks", "volumes"):
        return f"{path[0]}.{path[2]}"
    return ".".join(path[:2]) if path[0] in ("ports", "terraform", "workflows") else path[0]
