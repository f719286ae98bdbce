"""Expressions as text, and whether anything in a value is unknown."""

from __future__ import annotations

from typing import Any

from policies.shared.limits import MOST_DEEP, MOST_WEIGHT
from policies.shared.located import List, Map
from policies.terraform.blocks import Partial, Unknown
from policies.terraform.hcl import Node

#: Larger than any number that means something here.
ENDLESS = 1e30


class TooLarge(Exception):
    """An expression comes to more than anybody means honestly."""


def weight(value: Any) -> int:
    """Return how much a value holds, in signs and entries; lists and maps remember it once they are whole."""
    if isinstance(value, str):
        return len(value)
    if isinstance(value, (int, float)):
        # Numbers that no computer counts with take as much room as they have digits.
        return 1 if -ENDLESS < value < ENDLESS else MOST_WEIGHT + 1
    if not isinstance(value, (List, Map)):
        return 1
    if not hasattr(value, "weight"):
        parts = [part for pair in value.items() for part in pair] if isinstance(value, Map) else value
        value.weight = 1 + sum(1 + weight(part) for part in parts)
        value.deep = 1 + max((getattr(part, "deep", 0) for part in parts), default=0)
    return value.weight if value.deep <= MOST_DEEP else MOST_WEIGHT + 1


def more(total: int, value: Any) -> int:
    """Return what is held together with one value more; raises TooLarge above the limit."""
    total += 1 + weight(value)
    if total > MOST_WEIGHT:
        raise TooLarge
    return total


def numbers(*values: Any) -> bool:
    """Tell whether all of them are numbers."""
    return all(isinstance(each, (int, float)) for each in values)


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
    if node.kind == "name":
        return str(node.parts[0])
    if node.kind == "get":
        return f"{written(node.parts[0])}.{node.parts[1]}"
    if node.kind == "index":
        return f"{written(node.parts[0])}[{written(node.parts[1])}]"
    if node.kind == "splat":
        return f"{written(node.parts[0])}[*]"
    if node.kind == "call":
        return f"{node.parts[0]}({', '.join(map(written, node.parts[1]))})"
    if node.kind == "literal":
        value = node.parts[0]
        return repr(value) if isinstance(value, str) else "null" if value is None else str(value).lower()
    return node.kind
