"""What Terraform expressions can come to, beside plain data: JSON, and values that only Terraform will know.

Plain data are texts, numbers, switches and the located `Map` and `List`, which keep the lines inside.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from policies.model import Place
from policies.shared.located import List, Map
from policies.terraform.hcl import Node


@dataclass(frozen=True)
class Unknown:
    """A value that is not in the files. `text` is the expression, for instance aws_s3_bucket.backup.id."""

    text: str

    def __str__(self) -> str:
        return "${" + self.text + "}"


class Partial(str):
    """A text with something unknown in it, written as ${…}."""


class Json(str):
    """A text made by jsonencode or by a policy document; `value` is the data that it holds."""

    value: Any

    @classmethod
    def of(cls, value: Any) -> Json:
        made = cls(json.dumps(value, default=str, sort_keys=True))
        made.value = value
        return made


def located_json(value: Any, place: Place) -> Any:
    """Return JSON as located values that all stand at one place."""
    if isinstance(value, dict):
        result = Map(place)
        for key, item in value.items():
            result.put(key, located_json(item, place), place)
        return result
    if isinstance(value, list):
        items = List(place)
        for item in value:
            items.add(located_json(item, place), place)
        return items
    return value


def yes(value: Any) -> bool:
    """Tell whether a value is true; Terraform takes the text for it as well."""
    return value is True or value == "true"


def number(value: Any) -> int | float | None:
    """Return a number, also one that was written as a text; nothing if it is none or unknown."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return value
    return int(value) if type(value) is str and value.isdecimal() else None


def known(value: Any) -> bool:
    """Tell whether nothing in a value is unknown."""
    if isinstance(value, dict):
        return all(known(key) and known(item) for key, item in value.items())
    if isinstance(value, list):
        return all(known(item) for item in value)
    return not isinstance(value, (Unknown, Partial))


def written(node: Any) -> str:
    """Return an expression roughly as it was written, to name an unknown value."""
    if not isinstance(node, Node):
        return str(node)
    head = written(node.parts[0]) if node.kind in ("get", "index", "splat") else str(node.parts[0])
    if node.kind == "literal" and not isinstance(node.parts[0], str):
        return "null" if node.parts[0] is None else head.lower()
    forms = {
        "name": lambda: head,
        "get": lambda: f"{head}.{node.parts[1]}",
        "index": lambda: f"{head}[{written(node.parts[1])}]",
        "splat": lambda: f"{head}[*]",
        "call": lambda: f"{head}({', '.join(map(written, node.parts[1]))})",
        "literal": lambda: repr(node.parts[0]),
    }
    return forms.get(node.kind, lambda: node.kind)()
