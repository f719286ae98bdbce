"""How Compose lays one file over another: override files, `extends` and `include`."""

from __future__ import annotations

from typing import Any

from policies.shared.located import List, Map

#: Lists of a service that a later file replaces as a whole.
REPLACED = {("command",), ("entrypoint",), ("healthcheck", "test")}
#: Lists whose entries are told apart by some of their keys.
IDENTIFIED = dict.fromkeys(("volumes", "devices", "secrets", "configs"), ("target",))
IDENTIFIED |= {"ports": ("host_ip", "published", "target", "protocol")}
#: Where a service stands in a file.
SERVICE = ("services", "*")


def merge(base: Any, over: Any, path: tuple[Any, ...] = ()) -> Any:
    """Return a value with another file's version laid over it; `path` leads to it in a whole file."""
    inner = path[2:] if path[:1] == ("services",) else path
    if isinstance(base, Map) and isinstance(over, Map):
        drivers = {base.get("driver"), over.get("driver")} - {None}
        return over if inner == ("logging",) and len(drivers) > 1 else _maps(base, over, path)
    if isinstance(base, List) and isinstance(over, List) and inner not in REPLACED:
        return _lists(base, over, IDENTIFIED.get(path[-1]) if path else None)
    return base if over is None and base is not None else over


def _lists(base: List, over: List, keys: tuple[str, ...] | None) -> List:
    """Return both lists; an entry of `over` takes the place of its namesake."""
    entries: dict[Any, tuple[Any, Any]] = {}
    for source in (base, over):
        for item, place in zip(source, source.places, strict=True):
            named = keys and isinstance(item, Map)
            name = tuple(str(item.get(key)) for key in keys) if named else (type(item).__name__, repr(item))
            entries[name] = (item, place)
    result = List(over.place)
    for item, place in entries.values():
        result.add(item, place)
    return result


def _maps(base: Map, over: Map, path: tuple[Any, ...]) -> Map:
    result = Map(over.place)
    result.tags.update(over.tags)
    for key, value in base.items():
        if over.tags.get(key) != "!reset":
            result.put(key, value, base.places[key])
    for key, value in over.items():
        tag = over.tags.get(key)
        if tag == "!reset":
            continue
        if key in result and tag != "!override":
            merged = merge(result[key], value, (*path, key))
            place = result.places[key] if merged is result[key] else over.places[key]
            result.put(key, merged, place)
        else:
            result.put(key, value, over.places[key])
    return result


def without_resets(node: Any) -> Any:
    """Drop what is tagged !reset when there is nothing below to reset."""
    if isinstance(node, Map):
        for key in [key for key, tag in node.tags.items() if tag == "!reset"]:
            node.pop(key, None)
        for value in node.values():
            without_resets(value)
    return node
