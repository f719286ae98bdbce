"""policy.yml: what the operator of a repository decides, and the rows that messages suggest for it."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import yaml

from policies.model import Place
from policies.shared.located import Map, Unreadable, dig, documents, mapping, where

FILE = "policy.yml"


class Policy:
    """The decisions of one repository; one without a policy.yml allows nothing special.

    A file that is no YAML decides nothing either: `broken` says why, and the gate stops.
    """

    def __init__(self, text: str = "") -> None:
        self.text = text
        self.broken: Unreadable | None = None
        self.data: Any = Map(Place(FILE))
        try:
            self.data = next((each for each in documents(text, FILE) if isinstance(each, Map)), self.data)
        except Unreadable as error:
            self.broken = error

    def get(self, *path: Any) -> Any:
        """Return the value at a path, for instance `get("services", "nginx", "memory")`, or None."""
        return dig(self.data, *path)

    def section(self, *path: Any) -> dict[str, Any]:
        """Return the mapping at a path; an empty one if there is none."""
        return mapping(dig(self.data, *path))

    def values(self, *path: Any) -> list[Any]:
        """Return the list at a path; an empty one if there is none."""
        value = dig(self.data, *path)
        return value if isinstance(value, list) else []

    def service(self, name: str) -> dict[str, Any]:
        """Return what a service may have; one that is not listed may have nothing special."""
        return self.section("services", name)

    def where(self, *path: Any) -> Place:
        """Return the place of a value, or of the nearest thing around it that exists."""
        return where(self.data, *path)

    def row(self, *path: Any, value: Any) -> str:
        """Return the row that would allow `value` at a path, ready to paste, below a comment that says where.

        With a list at that path, the row adds `value` to it; anything else that stands there is replaced.
        """
        edit = self._edit(path, value)
        return f"# {FILE}, {edit.where}\n" + "\n".join(edit.rows)

    def entry(self, *path: Any, value: Any) -> str:
        """Return the row that adds a value to the list at a path, or begins that list."""
        return self.row(*path, value=value if isinstance(self.get(*path), list) else [value])

    def _edit(self, path: tuple[Any, ...], value: Any) -> _Edit:
        root = None if self.broken else yaml.compose(self.text, getattr(yaml, "CSafeLoader", yaml.SafeLoader))
        return _Edit(self.text.splitlines(), root, list(path), value)


class _Edit:
    """The change of a text that puts a value at a path: `rows` replace its lines `first` up to `last`."""

    def __init__(self, lines: list[str], root: yaml.Node | None, path: list[Any], value: Any) -> None:
        self.lines, self.path, self.value = lines, path, value
        self.first = self.last = len(lines)
        self.where, self.rows = "at its end", self._block(0, path, value)
        if isinstance(root, yaml.MappingNode):
            self._below(root, [])

    def _below(self, node: yaml.MappingNode, done: list[Any]) -> None:
        left = self.path[len(done) :]
        for key, inner in node.value:
            if key.value != str(left[0]):
                continue
            line, deeper = key.start_mark.line, [*done, left[0]]
            if len(left) > 1 and isinstance(inner, yaml.MappingNode) and not inner.flow_style:
                self._below(inner, deeper)
            elif len(left) == 1 and isinstance(inner, yaml.SequenceNode) and not inner.flow_style:
                self._insert(inner.value[-1], deeper, _block(inner.start_mark.column, [self.value]))
            else:
                self._replace(line, inner, key.start_mark.column, done, left)
            return
        if done:
            self._insert(node.value[-1][1], done, self._block(node.start_mark.column, left, self.value))

    def _insert(self, after: yaml.Node, below: list[Any], rows: list[str]) -> None:
        self.first = self.last = _end(after)
        self.where, self.rows = f"below line {self.first} (in {_path(below)})", rows

    def _replace(self, line: int, inner: yaml.Node, column: int, done: list[Any], left: list[Any]) -> None:
        """Rewrite one entry; what a flow mapping or a flow list already has stays."""
        value = self.value
        for step in reversed(left[1:]):
            value = {step: value}
        if isinstance(inner, yaml.CollectionNode):
            value = _merged(yaml.safe_load(yaml.serialize(inner)), value)
        elif inner.tag.endswith(":null") and len(left) == 1 and isinstance(self.value, str):
            value = self.value
        self.first, self.last = line, _end(inner)
        inside = f" (in {_path(done)})" if done else ""
        self.where = f"in place of line {line + 1}{inside}"
        self.rows = _block(column, {left[0]: value})

    @staticmethod
    def _block(column: int, path: list[Any], value: Any) -> list[str]:
        for step in reversed(path):
            value = {step: value}
        return _block(column, value)


def _end(node: yaml.Node) -> int:
    """Return the number of lines up to the end of a node, comments behind it left out."""
    while isinstance(node, yaml.CollectionNode) and not node.flow_style and node.value:
        node = node.value[-1][1] if isinstance(node, yaml.MappingNode) else node.value[-1]
    return node.end_mark.line + (1 if node.end_mark.column or node.start_mark == node.end_mark else 0)


def _merged(old: Any, new: Any) -> Any:
    if isinstance(old, dict) and isinstance(new, dict):
        return old | {key: _merged(old.get(key), value) for key, value in new.items()}
    if isinstance(old, list):
        return [*old, *(new if isinstance(new, list) else [new])]
    return new


def _path(steps: list[Any]) -> str:
    return ": ".join(map(str, steps))


class _Dumper(yaml.SafeDumper):
    """Writes lists as people do: inside of their key."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        """Indent a list below its key."""
        super().increase_indent(flow, False)


def _block(column: int, value: Any) -> list[str]:
    text = yaml.dump(value, Dumper=_Dumper, sort_keys=False, width=1000, allow_unicode=True)
    return [" " * column + line for line in text.splitlines()]


@lru_cache(maxsize=64)
def policy(text: str) -> Policy:
    """Return the policy that a text holds; the same one for the same text."""
    return Policy(text)
