"""JSON Schemas (2020-12) with errors that say where, what is wrong and what is allowed."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import jsonschema

from policies.model import Place
from policies.shared.located import Map, where

FOLDER = Path(__file__).parents[2] / "schemas"

#: What jsonschema calls a key that the schema does not name.
UNKNOWN = ("additionalProperties", "unevaluatedProperties")

#: How the edges of a number are told.
BOUNDS = {
    "minimum": "at least", "maximum": "at most", "exclusiveMinimum": "above", "exclusiveMaximum": "below",
}  # fmt: skip

#: What is told by the value and what is allowed.
PLAIN = ("type", "const", "anyOf", "oneOf")


class Wrong(NamedTuple):
    """One thing that a schema does not allow: where, what, what is allowed, and the key that it is about."""

    place: Place
    what: str
    should: str
    key: str = ""
    unknown: bool = False


@lru_cache(maxsize=16)
def validator(name: str) -> jsonschema.Draft202012Validator:
    """Return the validator of schemas/<name>.schema.json."""
    schema = json.loads((FOLDER / f"{name}.schema.json").read_text(encoding="utf-8"))
    return jsonschema.Draft202012Validator(
        schema, format_checker=jsonschema.Draft202012Validator.FORMAT_CHECKER
    )


def dotted(path: Any) -> str:
    """Return a path as people write it: services.nginx.ports[0]."""
    text = ""
    for step in path:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else str(step)
    return text or "the file"


TYPES = {
    "string": "a text", "integer": "a whole number", "number": "a number", "boolean": "true or false",
    "object": "a mapping", "array": "a list", "null": "nothing",
}  # fmt: skip

#: How much of a value that is wrong a message shows.
SHOWN = 60


def _shown(value: Any) -> str:
    if isinstance(value, (dict, list)):
        return "a mapping" if isinstance(value, dict) else "a list"
    said = json.dumps(value, ensure_ascii=False, default=str)
    return said if len(said) <= SHOWN else f'{said[:SHOWN]}…"'


def _words(schema: dict[str, Any]) -> str:
    """Return a schema's own words about what it allows: a pattern is nothing for people."""
    return str(schema.get("x-allowed") or schema.get("x-fix") or "")


def _allowed(schema: Any) -> str:
    """Return what a schema allows, in words."""
    if not isinstance(schema, dict):
        return ""
    if "const" in schema:
        return json.dumps(schema["const"])
    if "enum" in schema:
        return "one of " + ", ".join(map(str, schema["enum"]))
    options = schema.get("anyOf") or schema.get("oneOf")
    if options:
        return " or ".join(dict.fromkeys(filter(None, map(_allowed, options))))
    if words := _words(schema):
        return words
    kinds = schema.get("type")
    words = [TYPES[kind] for kind in ([kinds] if isinstance(kinds, str) else kinds or [])]
    return " or ".join(words)


def _missing_keys(error: jsonschema.ValidationError) -> Iterator[tuple[str, str, str]]:
    for key in error.validator_value:
        if key not in error.instance:
            inner = _allowed(error.schema.get("properties", {}).get(key, {}))
            what = f"{dotted(error.absolute_path)}: {key} is missing"
            yield key, what, f"{key}: {inner}" if inner else f"a key {key}"


def _unknown_keys(error: jsonschema.ValidationError) -> Iterator[tuple[str, str, str]]:
    known = list(error.schema.get("properties", {}))
    patterns = list(error.schema.get("patternProperties", {}))
    for key in error.instance:
        if key in known or any(re.search(pattern, str(key)) for pattern in patterns):
            continue
        near = difflib.get_close_matches(str(key), known, 1)
        should = f"did you mean {near[0]}?" if near else f"one of {', '.join(sorted(known))}"
        yield str(key), f"{dotted(error.absolute_path)}: {key} is no key here", should


def _sentence(error: jsonschema.ValidationError) -> tuple[str, str]:
    """Return what is wrong and what is allowed."""
    path, value = dotted(error.absolute_path), error.instance
    if isinstance(error.schema, dict) and error.schema.get("x-secret"):
        return f"{path} has a value that cannot be right", error.schema["x-allowed"]
    about, kind = str(error.schema.get("description", "")).rstrip("."), error.validator
    what, allowed = f"{path} is {_shown(value)}", _allowed(error.schema) or about
    if kind == "enum":
        near = difflib.get_close_matches(str(value), map(str, error.validator_value), 1)
        return what, allowed + (f"; did you mean {near[0]}?" if near else "")
    if kind == "anyOf" and all(set(each) == {"required"} for each in error.validator_value):
        keys = [key for each in error.validator_value for key in each["required"]]
        return f"{path} has no {', no '.join(keys)}", about
    if kind == "maxLength":
        most = f"at most {error.validator_value} letters"
        shown = f"{path} has {len(value)} letters: {_shown(value)}"
        return shown, ", ".join(filter(None, (_words(error.schema), most)))
    if kind in ("pattern", "format", "minLength"):
        return what, _words(error.schema) or about or "another form"
    if kind in ("minItems", "minProperties"):
        return f"{path} is empty", "one entry at least"
    if kind in BOUNDS:
        return what, f"{BOUNDS[kind]} {error.validator_value}"
    return (what, allowed) if kind in PLAIN else (f"{path}: {error.message}", about)


def _is_name(error: jsonschema.ValidationError) -> bool:
    """Tell whether it is the name of a key that is wrong, not its value."""
    return "propertyNames" in list(error.absolute_schema_path)[-2:]


def _keys(error: jsonschema.ValidationError) -> Iterator[tuple[str, str, str]]:
    """Yield the key that each breach is about, what is wrong and what is allowed."""
    if error.validator == "required":
        yield from _missing_keys(error)
    elif error.validator in UNKNOWN and isinstance(error.instance, dict):
        yield from _unknown_keys(error)
    elif _is_name(error):
        name = str(error.instance)
        yield name, f"{dotted(error.absolute_path)}: {_shown(name)} is no name", _words(error.schema)
    else:
        yield str(next(reversed(error.absolute_path), "")), *_sentence(error)


def errors(name: str, document: Any, fallback: Place) -> list[Wrong]:
    """Return everything that a schema does not allow, in the order of the file."""
    found = []
    for error in validator(name).iter_errors(document):
        unknown = error.validator in UNKNOWN and isinstance(error.instance, dict)
        for key, what, should in _keys(error):
            path = (*error.absolute_path, key) if unknown or _is_name(error) else error.absolute_path
            at = where(document, *path) if isinstance(document, Map) else fallback
            found.append(Wrong(at, what, should, key, unknown))
    return sorted(set(found))
