"""Evaluates IAM policy documents, as far as the modules use the language.

Decides as AWS does within one account: an explicit Deny anywhere wins, otherwise one Allow is enough,
and a permissions boundary must allow as well. Principals are not compared: the documents that are given
are taken to apply to the caller. An operator or element that is not known here raises PolicyError.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

Document = Mapping[str, Any]
_ELEMENTS = {"Sid", "Effect", "Principal", "Action", "NotAction", "Resource", "NotResource", "Condition"}


class PolicyError(Exception):
    """A document says something that this evaluator does not understand."""


class Decision(Enum):
    """What AWS would answer."""

    ALLOWED = "allowed"
    DENIED = "explicitly denied"
    NOT_ALLOWED = "not allowed by anything"


@dataclass(frozen=True)
class Request:
    """One call: action such as s3:PutObject, the resource's ARN, and the condition keys it carries."""

    action: str
    resource: str
    context: Mapping[str, str] = field(default_factory=dict)


def decide(request: Request, documents: Iterable[Document], boundary: Document | None = None) -> Decision:
    """The answer to a request of a caller whom all the documents apply to."""
    found = list(documents)
    effects = {effect for document in found for effect in _effects(document, request)}
    limits = {"Allow"} if boundary is None else set(_effects(boundary, request))
    if "Deny" in effects | limits:
        return Decision.DENIED
    return Decision.ALLOWED if "Allow" in effects and "Allow" in limits else Decision.NOT_ALLOWED


def _effects(document: Document, request: Request) -> list[str]:
    return [statement["Effect"] for statement in document["Statement"] if _applies(statement, request)]


def _applies(statement: Document, request: Request) -> bool:
    if unknown := statement.keys() - _ELEMENTS:
        raise PolicyError(f"unknown element {', '.join(sorted(unknown))}")
    return (
        _selects(statement, "Action", request.action, re.IGNORECASE)
        and (_is_trust(statement) or _selects(statement, "Resource", request.resource))
        and _conditions_hold(statement.get("Condition", {}), request.context)
    )


def _is_trust(statement: Document) -> bool:
    """A role's trust policy names no resource: it is about the role itself."""
    return "Principal" in statement and not statement.keys() & {"Resource", "NotResource"}


def _selects(statement: Document, element: str, value: str, flags: int = 0) -> bool:
    if element in statement:
        return _matches_any(_listed(statement[element]), value, flags)
    return not _matches_any(_listed(statement[f"Not{element}"]), value, flags)


def _matches_any(patterns: Iterable[str], value: str, flags: int = 0) -> bool:
    """IAM knows two wildcards: * for anything and ? for one character."""
    for pattern in patterns:
        expression = re.escape(pattern).replace(r"\*", ".*").replace(r"\?", ".")
        if re.fullmatch(expression, value, flags | re.DOTALL):
            return True
    return False


def _equals_any(values: Iterable[str], value: str) -> bool:
    return value in set(values)


def _below_any(values: Iterable[str], value: str) -> bool:
    return any(float(value) < float(limit) for limit in values)


def _above_any(values: Iterable[str], value: str) -> bool:
    return any(float(value) > float(limit) for limit in values)


def _bool_equals(values: Iterable[str], value: str) -> bool:
    return value.lower() in {each.lower() for each in values}


_OPERATORS: Mapping[str, Callable[[Iterable[str], str], bool]] = {
    "StringEquals": _equals_any,
    "StringLike": _matches_any,
    "NumericLessThan": _below_any,
    "NumericGreaterThan": _above_any,
    "Bool": _bool_equals,
}
_NEGATED = {"StringNotEquals": _equals_any}


def _conditions_hold(conditions: Mapping[str, Mapping[str, Any]], context: Mapping[str, str]) -> bool:
    given = {key.lower(): value for key, value in context.items()}
    return all(
        _holds(operator, given.get(key.lower()), _listed(values))
        for operator, keys in conditions.items()
        for key, values in keys.items()
    )


def _holds(operator: str, value: str | None, values: list[str]) -> bool:
    """A key that the request does not carry fails an operator, and satisfies a negated one."""
    if operator == "Null":
        return (value is None) == (values[0].lower() == "true")
    if operator in _NEGATED:
        return value is None or not _NEGATED[operator](values, value)
    if operator not in _OPERATORS:
        raise PolicyError(f"unknown condition operator {operator}")
    return value is not None and _OPERATORS[operator](values, value)


def _listed(value: Any) -> list[str]:
    return [str(each) for each in value] if isinstance(value, list) else [str(value)]
