"""aws_iam_policy_document as the JSON that it makes."""

from __future__ import annotations

import json
from typing import Any

from policies.model import Place
from policies.shared.located import List, Map, sequence
from policies.terraform.blocks import Block
from policies.terraform.values import Json, Unknown, located_json

#: Where a document takes statements of others from; the last two are old names.
SOURCES = ("source_policy_documents", "override_policy_documents", "source_json", "override_json")


def policy_document(block: Block) -> Map:
    """Return an aws_iam_policy_document as the JSON that it makes."""
    document = Map(block.place)
    document.put("Version", "2012-10-17", block.place)
    statements = List(block.place)
    for source in SOURCES:
        for statement in _of_others(block.value(source), block.where(source)):
            statements.add(statement, block.where(source))
    for statement in block.inner("statement"):
        statements.add(_statement(statement), statement.place)
    document.put("Statement", statements, block.place)
    return document


def _of_others(sources: Any, place: Place) -> list[Any]:
    """Return the statements of other documents; what is no document stands there as it is."""
    found: list[Any] = []
    for item in [sources] if isinstance(sources, (str, Unknown)) else sequence(sources):
        document = item.value if isinstance(item, Json) else _read(item, place)
        inside = document.get("Statement") if isinstance(document, dict) else item
        found += inside if isinstance(inside, list) else [inside]
    return found


def _read(text: Any, place: Place) -> Any:
    try:
        return located_json(json.loads(text), place)
    except (TypeError, ValueError, RecursionError):
        return None


def _statement(block: Block) -> Map:
    result = Map(block.place)
    result.put("Effect", block.value("effect", "Allow"), block.where("effect"))
    names = {"sid": "Sid", "actions": "Action", "not_actions": "NotAction"}
    names |= {"resources": "Resource", "not_resources": "NotResource"}
    for name, key in names.items():
        if block.has(name):
            result.put(key, block.value(name), block.where(name))
    for kind, key in (("principals", "Principal"), ("not_principals", "NotPrincipal")):
        who = Map(block.where(kind))
        for each in block.inner(kind):
            who.put(str(each.value("type")), each.value("identifiers"), each.where("identifiers"))
        if who:
            result.put(key, "*" if list(who) == ["*"] else who, block.where(kind))
    conditions = Map(block.where("condition"))
    for each in block.inner("condition"):
        test = str(each.value("test"))
        inner = conditions.get(test) or Map(each.place)
        inner.put(str(each.value("variable")), each.value("values"), each.where("values"))
        conditions.put(test, inner, each.place)
    if conditions:
        result.put("Condition", conditions, block.where("condition"))
    return result
