"""YAML as plain values whose maps and lists remember where each entry stands."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import yaml

from policies.model import Place


class Map(dict):
    """A mapping; `places` has the place of each key, `tags` the tags of Compose (!reset, !override)."""

    def __init__(self, place: Place) -> None:
        super().__init__()
        self.place = place
        self.places: dict[Any, Place] = {}
        self.tags: dict[Any, str] = {}

    def put(self, key: Any, value: Any, place: Place) -> None:
        """Set an entry together with its place."""
        self[key] = value
        self.places[key] = place


class List(list):
    """A sequence; `places` has the place of each entry."""

    def __init__(self, place: Place) -> None:
        super().__init__()
        self.place = place
        self.places: list[Place] = []

    def add(self, value: Any, place: Place) -> None:
        """Append an entry together with its place."""
        self.append(value)
        self.places.append(place)


class Unreadable(Exception):
    """A file cannot be read as what it claims to be; `place` and `args[0]` say where and why."""

    def __init__(self, place: Place, why: str) -> None:
        super().__init__(why)
        self.place = place


def where(node: Any, *path: Any) -> Place:
    """Return the place of `path` inside `node`, or of the nearest part of it that exists."""
    place = node.place
    for step in path:
        if isinstance(node, Map) and step in node.places:
            place, node = node.places[step], node.get(step)
        elif isinstance(node, List) and isinstance(step, int) and step < len(node.places):
            place, node = node.places[step], node[step]
        else:
            break
    return place


def dig(node: Any, *path: Any) -> Any:
    """Return the value of `path` inside `node`, or None if a part of it is missing or no container."""
    for step in path:
        if isinstance(node, dict):
            node = node.get(step)
        elif isinstance(node, list) and isinstance(step, int) and step < len(node):
            node = node[step]
        else:
            return None
    return node


class Located:
    """Something whose values are in `data`, a mapping of any shape, and which itself stands at `place`."""

    data: Map
    place: Place

    def get(self, *path: Any) -> Any:
        """Return a value, or None if it is not there."""
        return dig(self.data, *path)

    def where(self, *path: Any) -> Place:
        """Return the place of a value or of the nearest thing around it that exists."""
        return where(self.data, *path) if path and path[0] in self.data else self.place


def copied(node: Any, change: Callable[[str], Any] = str) -> Any:
    """Return a copy of located values, places and tags included, with each text (but no key) changed."""
    if isinstance(node, Map):
        result = Map(node.place)
        result.update({key: copied(value, change) for key, value in node.items()})
        result.places, result.tags = dict(node.places), dict(node.tags)
        return result
    if isinstance(node, List):
        items = List(node.place)
        items.extend(copied(value, change) for value in node)
        items.places = list(node.places)
        return items
    return change(node) if isinstance(node, str) else node


def mapping(value: Any) -> dict:
    """Return the value if it is a mapping, otherwise an empty one: rules never trip over odd shapes."""
    return value if isinstance(value, dict) else {}


def sequence(value: Any) -> list:
    """Return the value if it is a list, a scalar as a list of one, nothing as an empty list."""
    if isinstance(value, list):
        return value
    return [] if value is None or isinstance(value, dict) else [value]


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
    """YAML as Compose and GitHub read it: no `on` or `yes` as a switch, no 22:22 as a number, no dates."""


_REPLACED = (":bool", ":timestamp", ":int", ":float")
_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if not tag.endswith(_REPLACED)]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
for _tag, _pattern, _first in (
    ("bool", r"^(?:true|True|TRUE|false|False|FALSE)$", "tTfF"),
    ("int", r"^[-+]?(?:0b[01]+|0o?[0-7]+|0x[0-9a-fA-F]+|0|[1-9][0-9]*)$", "-+0123456789"),
    ("float", r"^[-+]?(?:[0-9]+\.[0-9]*|\.[0-9]+|[0-9]+(?=[eE]))(?:[eE][-+]?[0-9]+)?$", "-+.0123456789"),
):
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(_pattern), list(_first))


STANDARD = tuple(
    f"tag:yaml.org,2002:{kind}"
    for kind in ("map", "seq", "str", "int", "float", "bool", "null", "merge", "value")
)
#: Aliases inside aliases grow without end; no honest file comes near this.
MOST_NODES = 100_000
#: The tags of Compose, which say how a value is laid over another one.
KNOWN_TAGS = ("!reset", "!override")


class _Reader:
    """Turns composed nodes of one file into located values."""

    def __init__(self, file: str) -> None:
        self.file, self.nodes = file, 0
        self.loader = _Loader("")
        self.open: list[int] = []

    def place(self, node: yaml.Node) -> Place:
        return Place(self.file, node.start_mark.line + 1)

    def value(self, node: yaml.Node) -> Any:
        self.nodes += 1
        if self.nodes > MOST_NODES:
            raise Unreadable(self.place(node), "it is too large: aliases inside aliases")
        if id(node) in self.open:
            raise Unreadable(self.place(node), "an anchor contains itself")
        if not node.tag.startswith(STANDARD) and node.tag not in KNOWN_TAGS:
            raise Unreadable(self.place(node), f"the tag {node.tag} means nothing here")
        self.open.append(id(node))
        try:
            if isinstance(node, yaml.MappingNode):
                return self.map(node)
            if isinstance(node, yaml.SequenceNode):
                result = List(self.place(node))
                for item in node.value:
                    result.add(self.value(item), self.place(item))
                return result
            return self.scalar(node)
        finally:
            self.open.pop()

    def scalar(self, node: yaml.ScalarNode) -> Any:
        tag = node.tag
        if not tag.startswith("tag:yaml.org,2002:"):
            tag = self.loader.resolve(yaml.ScalarNode, node.value, (node.style is None, False))
        plain = yaml.ScalarNode(tag, node.value, node.start_mark, node.end_mark, node.style)
        try:
            return self.loader.construct_object(plain)
        except (ValueError, OverflowError, yaml.YAMLError):
            return node.value

    def map(self, node: yaml.MappingNode) -> Map:
        result = Map(self.place(node))
        merged: list[yaml.Node] = []
        for key_node, value_node in node.value:
            if key_node.tag == "tag:yaml.org,2002:merge":
                merged += value_node.value if isinstance(value_node, yaml.SequenceNode) else [value_node]
                continue
            key = self.value(key_node)
            if isinstance(key, (Map, List)):
                raise Unreadable(self.place(key_node), "a key is a list or a mapping")
            if key in result:
                raise Unreadable(self.place(key_node), f"the key {key} stands twice in one mapping")
            result.put(key, self.value(value_node), self.place(key_node))
            if value_node.tag.startswith("!"):
                result.tags[key] = value_node.tag
        for source in merged:
            other = self.value(source)
            if not isinstance(other, Map):
                raise Unreadable(self.place(source), "<<: takes a mapping")
            for key, value in other.items():
                if key not in result:
                    result.put(key, value, other.places[key])
        return result


@lru_cache(maxsize=256)
def documents(text: str, file: str) -> tuple[Any, ...]:
    """Return every document of a YAML text; raises Unreadable for the first thing that is no YAML.

    They are remembered: whoever changes one changes a copy.
    """
    try:
        nodes = list(yaml.compose_all(text, _Loader))
        return tuple(None if node is None else _Reader(file).value(node) for node in nodes)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise Unreadable(Place(file, mark.line + 1 if mark else 1), error.problem or "no YAML") from error
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise Unreadable(Place(file, 1), " ".join(str(error).split())) from error
