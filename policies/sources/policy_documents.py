"""aws_iam_policy_document as the JSON that it makes."""

from __future__ import annotations

from policies.sources.located import List, Map
from policies.sources.terraform import Block
from policies.sources.terraform_functions import Json


def policy_document(block: Block) -> Map:
    """Return an aws_iam_policy_document as the JSON that it makes."""
    document = Map(block.place)
    document.put("Version", "2012-10-17", block.place)
    statements = List(block.place)
    for source in ("source_policy_documents", "override_policy_documents"):
        for item in block.value(source) or []:
            for statement in item.value.get("Statement", []) if isinstance(item, Json) else [item]:
                statements.add(statement, block.where(source))
    for statement in block.inner("statement"):
        statements.add(_statement(statement), statement.place)
    document.put("Statement", statements, block.place)
    return document


def _statement(block: Block) -> Map:
    result = Map(block.place)
    result.put("Effect", block.value("effect", "Allow"), block.where("effect"))
    names = {
        "sid": "Sid",
        "actions": "Action",
        "not_actions": "NotAction",
        "resources": "Resource",
        "not_resources": "NotResource",
    }
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
