"""What the OpenAPI document says of every operation beyond its own forms: headers, and what may go wrong."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from apispec import APISpec
from flask import Flask

from usermgmt.api.access import blueprint
from usermgmt.api.once import HEADER, REPLAYED
from usermgmt.problem_json import TYPE

ERROR = "#/components/schemas/Problems"
TEXT: dict[str, Any] = {"schema": {"type": "string"}}
ETAG = {"ETag": {"description": "Of one thing its version, then a point and a hash.", **TEXT}}
RETRY = {"Retry-After": {"description": "Seconds.", **TEXT}}
#: What an operation that is so may answer besides: status, description, headers.
ANSWERS: tuple[tuple[str, str, str, dict[str, Any]], ...] = (
    ("every", "401", "No valid token.", {"WWW-Authenticate": TEXT}),
    ("every", "403", "Not within the token's scopes, or its admin's role.", {}),
    ("every", "406", "Accept asks for another media type.", {}),
    ("every", "422", "A field or a parameter is wrong or not in this document.", {}),
    ("every", "503", "The database or Dovecot is down.", RETRY),
    ("reads", "304", "It is what If-None-Match names.", ETAG),
    ("of one", "404", "Not there, or not yours.", {}),
    ("changes one", "409", "Something else needs it as it is.", {}),
    ("changes one", "412", "Somebody else changed it meanwhile.", {}),
    ("takes", "400", "Not JSON.", {}),
    ("takes", "413", "Too large.", {}),
    ("takes", "415", "The body has another media type.", {"Accept": TEXT}),
    ("creates", "409", "It is there already, or the first request with this key has no answer yet.", RETRY),
    ("creates", "429", "Too many Idempotency-Keys.", RETRY),
)
#: What it takes in its header, and gives there when all is well.
TAKES = {
    "reads": ("If-None-Match", "An ETag: if nothing changed, the answer is 304 without a body."),
    "changes one": ("If-Match", "An ETag: if somebody else changed it meanwhile, nothing is done."),
    "creates": (
        HEADER,
        "Chosen by you for this request: sent again within 24 hours, the answer is the same.",
    ),
}
GIVES: dict[str, dict[str, Any]] = {
    "reads": ETAG,
    "lists": {"Link": {"description": "Where the list goes on, as rel=next.", **TEXT}},
    "adds": {"Location": {"description": "Where it is.", **TEXT}},
    "creates": {REPLAYED: {"description": "This request was answered before.", **TEXT}},
}


def traits(method: str, path: str, view: Any) -> Iterator[str]:
    """What an operation is, of what the tables know."""
    yield "every"
    if method == "get":
        yield "reads"
    if "{" in path:
        yield "of one"
    if "{" in path and method != "get":
        yield "changes one"
    if getattr(view, "takes", ""):
        yield "takes"
    if getattr(view, "creates", False):
        yield "creates"
    if getattr(view, "status", 0) == 201:
        yield "adds"
    if "cursor" in getattr(view, "query", ()):
        yield "lists"


def complete(app: Flask, spec: APISpec) -> None:
    """Write it into each operation; what webargs says of 422 has another media type."""
    spec.components.responses.pop("UNPROCESSABLE_ENTITY", None)
    for rule in app.url_map.iter_rules():
        if rule.endpoint.rpartition(".")[0] != blueprint.name:
            continue
        path = rule.rule.replace("<int:", "{").replace(">", "}")
        for method in {"GET", "POST", "PUT", "PATCH", "DELETE"} & (rule.methods or set()):
            view: Any = app.view_functions[rule.endpoint]
            found = set(traits(method.lower(), path, view))
            describe(spec._paths[path][method.lower()], found, str(view.status))


def describe(operation: dict[str, Any], found: set[str], well: str) -> None:
    """Add headers and answers to one operation."""
    responses = operation["responses"]
    # Every status is named: another one would be a mistake.
    responses.pop("default", None)
    for trait, status, description, headers in ANSWERS:
        if trait in found:
            body = {} if status == "304" else {"content": {TYPE: {"schema": {"$ref": ERROR}}}}
            responses[status] = {"description": description, "headers": headers, **body}
    for trait in sorted(found & GIVES.keys()):
        responses[well].setdefault("headers", {}).update(GIVES[trait])
    for trait in sorted(found & TAKES.keys()):
        name, description = TAKES[trait]
        header = {"in": "header", "name": name, "description": description, "schema": {"type": "string"}}
        operation.setdefault("parameters", []).append(header)
