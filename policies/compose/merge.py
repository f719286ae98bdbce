"""How Compose lays one file over another: override files, `extends` and `include`."""

from __future__ import annotations

from typing import Any

from policies.shared.located import List, Map

#: Lists that a later file replaces as a whole.
REPLACED = {("command",), ("entrypoint",), ("healthcheck", "test")}
#: Lists whose entries are told apart by one of their keys.
IDENTIFIED = {
    "volumes": ("target",),
    "devices": ("target",),
    "secrets": ("target",),
    "configs": ("target",),
    "ports": ("host_ip", "published", "target", "protocol"),
}


def _identity(item: Any, keys: tuple[str, ...]) -> Any:
    return tuple(str(item.get(key)) for key in keys) if isinstance(item, Map) else (str(item),)


def _lists(base: List, over: List, keys: tuple[str, ...] | None) -> List:
    """Return both lists; an entry of `over` takes the place of its namesake."""
    result = List(over.place)
    entries: dict[Any, tuple[Any, Any]] = {}
    for source in (base, over):
        for item, place in zip(source, source.places, strict=True):
            name = _identity(item, keys) if keys else (type(item).__name__, repr(item))
            entries[name] = (item, place)
    for item, place in entries.values():
        result.add(item, place)
    return result


def merge(base: Any, over: Any, path: tuple[Any, ...] = ()) -> Any:
    """Return a service (path: inside the service) with another file's version laid over it."""
    if isinstance(base, Map) and isinstance(over, Map):
        drivers = {base.get("driver"), over.get("driver")}
        if path == ("logging",) and len(drivers - {None}) > 1:
            return over
        return _maps(base, over, path)
    if isinstance(base, List) and isinstance(over, List) and path not in REPLACED:
        return _lists(base, over, IDENTIFIED.get(path[-1]) if path else None)
    return base if over is None and base is not None else over


def _maps(base: Map, over: Map, path: tuple[Any, ...]) -> Map:
    result = Map(over.place)
    for key, value in base.items():
        if over.tags.get(key) != "!reset":
            result.put(key, value, base.places[key])
    for key, value in over.items():
        tag = over.tags.get(key)
        if tag == "!reset":
            continue
        if key in result and tag != "!override":
            merged = merge(result[key], value, (*path, key))
            kept = merged is result[key]
            result.put(key, merged, result.places[key] if kept else over.places[key])
        else:
            result.put(key, value, over.places[key])
    return result


def merge_files(base: Map, over: Map) -> Map:
    """Return a whole file with another one laid over it."""
    result = Map(base.place)
    for source in (base, over):
        result.tags.update(source.tags)
        for section, value in source.items():
            old = result.get(section)
            if source.tags.get(section) == "!reset":
                result.pop(section, None)
                continue
            if (
                source.tags.get(section) == "!override"
                or not isinstance(old, Map)
                or not isinstance(value, Map)
            ):
                result.put(section, value, source.places[section])
                continue
            joined = Map(old.place)
            joined.places.update(old.places)
            joined.update(old)
            for name, entry in value.items():
                tag = value.tags.get(name)
                if tag == "!reset":
                    joined.pop(name, None)
                elif name in joined and tag != "!override":
                    joined.put(name, merge(joined[name], entry), value.places[name])
                else:
                    joined.put(name, entry, value.places[name])
            result[section] = joined
    return result


def without_resets(node: Any) -> Any:
    """Drop what is tagged !reset when there is nothing below to reset."""
    if isinstance(node, Map):
        for key in [key for key, tag in node.tags.items() if tag == "!reset"]:
            node.pop(key, None)
        for value in node.values():
            without_resets(value)
    return node
