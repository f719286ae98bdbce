"""Expressions as text, and whether anything in a value is unknown."""

from __future__ import annotations

from typing import Any

from policies.sources.hcl import Node
from policies.sources.terraform_blocks import Partial, Unknown


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
