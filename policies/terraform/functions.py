"""Terraform's functions, as far as their value can be known without a provider."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from policies.model import Place
from policies.shared.located import List
from policies.terraform.values import Json


def listed(items: Any, place: Place) -> List:
    """Return a list whose entries keep their places, or stand at `place`."""
    result = List(place)
    known = getattr(items, "places", None)
    for number, item in enumerate(items):
        result.add(item, known[number] if isinstance(known, list) and number < len(known) else place)
    return result


def _concat(place: Place, *lists: Any) -> List:
    result = List(place)
    for each in lists:
        for item, at in zip(each, listed(each, place).places, strict=True):
            result.add(item, at)
    return result


def _distinct(place: Place, items: Any) -> List:
    result = List(place)
    for item, at in zip(items, listed(items, place).places, strict=True):
        if item not in result:
            result.add(item, at)
    return result


def _join(place: Place, sign: str, *lists: Any) -> str:
    return sign.join(str(each) for items in lists for each in items)


def _format(place: Place, pattern: str, *values: Any) -> str:
    return pattern.replace("%v", "%s").replace("%q", '"%s"') % values


def _formatlist(place: Place, pattern: str, *values: Any) -> List:
    """Format once for each entry of the lists; what is no list is the same each time."""
    lists = [each for each in values if isinstance(each, list)]
    rows = range(len(lists[0])) if lists else range(1)
    made = [[each[at] if isinstance(each, list) else each for each in values] for at in rows]
    return listed([_format(place, pattern, *row) for row in made], place)


def _replace(place: Place, text: str, old: str, new: str) -> str:
    if len(old) > 1 and old.startswith("/") and old.endswith("/"):
        return re.sub(old[1:-1], re.sub(r"\$\{?(\w+)\}?", r"\\g<\1>", new), text)
    return text.replace(old, new)


#: Whatever is unknown inside stays unknown inside the result.
STRUCTURAL = (
    "jsonencode", "concat", "toset", "tolist", "try", "sort", "values", "keys", "length", "one",
)  # fmt: skip
#: An unknown piece stays as ${…} in the text.
TEXTUAL = ("join", "format", "formatlist", "replace")

#: Each takes the place of the call first. One that fails makes the value unknown.
FUNCTIONS: dict[str, Callable[..., Any]] = {
    "can": lambda place, value: True,
    "coalesce": lambda place, *values: next(each for each in values if each not in (None, "")),
    "concat": _concat,
    "contains": lambda place, items, item: item in items,
    "format": _format,
    "formatlist": _formatlist,
    "join": _join,
    "jsonencode": lambda place, value: Json.of(value),
    "keys": lambda place, values: listed(sorted(values), place),
    "length": lambda place, value: len(value),
    "one": lambda place, items: items[0] if items else None,
    "replace": _replace,
    "sort": lambda place, items: listed(sorted(items), place),
    "tolist": lambda place, value: value,
    "toset": lambda place, items: _distinct(place, items),
    "tostring": lambda place, value: str(value).lower() if isinstance(value, bool) else str(value),
    "try": lambda place, *values: values[0],
    "values": lambda place, values: listed([values[key] for key in sorted(values)], place),
}
