"""What goes wrong, for programs: problem+json (RFC 9457) with each wrong field and how to fix it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from http import HTTPStatus
from typing import Any, NamedTuple
from urllib.parse import quote

from flask import Response, request
from marshmallow import Schema, fields

from usermgmt.problems import Conflict, InUse, Missing, Problem, Refused, Taken

TYPE = "application/problem+json"
PREFIX = "/api/"
#: Where the types of problems are explained, for people: web/problem_types.py.
PAGE = "/api/v1/problems"
RETRY_SECONDS = "10"
FIXES = {
    400: "Send valid JSON.",
    401: "Send the header Authorization: Bearer with a token that is valid; an owner makes one.",
    403: "Use a token with the scope, of an admin with the role.",
    404: "Look at /api/v1/openapi.json, and at the list of what there is.",
    503: "Try again in ten seconds.",
}


class Kind(NamedTuple):
    """A type of problem that its status alone does not tell."""

    name: str
    status: int
    title: str
    advice: str
    #: After how many seconds it may be gone.
    retry: str = ""


INVALID = Kind(
    "invalid-input",
    422,
    "Something that was sent is not valid",
    "Change each field that the problem names as its “fix” says. Nothing was changed.",
)
TAKEN = Kind(
    "already-exists",
    409,
    "It is there already",
    "Use what is there, or choose another address or name. Nothing was changed.",
)
IN_USE = Kind(
    "in-use",
    409,
    "Something else needs it as it is",
    "Change what the problem names first. Nothing was changed.",
)
CHANGED = Kind(
    "changed-meanwhile",
    412,
    "Somebody else changed this meanwhile",
    "Read it again, decide again, and send your change with the new ETag. Nothing was changed.",
)
KEY_REUSED = Kind(
    "idempotency-key-reused",
    422,
    "This Idempotency-Key was sent with another request",
    "Send a new key with every new request, and the same one only to repeat a request. Nothing was changed.",
)
KEY_BUSY = Kind(
    "idempotency-key-busy",
    409,
    "The request with this Idempotency-Key is still being answered",
    "Send the same request again after the time in Retry-After.",
    "2",
)
KEYS_FULL = Kind(
    "too-many-idempotency-keys",
    429,
    "The token has too many Idempotency-Keys",
    "Send fewer requests with a key: each is remembered for 24 hours. Nothing was changed.",
    "3600",
)
KINDS = (INVALID, TAKEN, IN_USE, CHANGED, KEY_REUSED, KEY_BUSY, KEYS_FULL)
#: What a service refused; the first that it is.
OF_REFUSALS: tuple[tuple[type[Refused], Kind | int], ...] = (
    (Missing, 404),
    (Conflict, CHANGED),
    (Taken, TAKEN),
    (InUse, IN_USE),
    (Refused, INVALID),
)


class ProblemSchema(Schema):
    """One wrong input."""

    line = fields.Integer(metadata={"description": "Of a file that was sent."})
    field = fields.String(required=True)
    value = fields.String(required=True)
    wrong = fields.String(required=True)
    fix = fields.String(required=True)


class ProblemsSchema(Schema):
    """The form of every error, as RFC 9457 has it, with the wrong inputs as an extension."""

    type = fields.String(
        required=True, metadata={"description": f"about:blank: the status says it all; else see {PAGE}."}
    )
    title = fields.String(required=True)
    status = fields.Integer(required=True)
    detail = fields.String(required=True)
    instance = fields.String(required=True, metadata={"description": "What was asked for."})
    problems = fields.List(fields.Nested(ProblemSchema), required=True)


def answer(kind: Kind | int, problems: list[dict[str, Any]] | None = None) -> Response:
    """An error as a response; one that is about no field says what to do."""
    if isinstance(kind, int):
        kind = Kind("", kind, HTTPStatus(kind).phrase, "", RETRY_SECONDS if kind == 503 else "")
    if problems is None:
        fix = kind.advice or FIXES.get(kind.status, "Look at /api/v1/openapi.json. Nothing was changed.")
        problems = [{"field": "request", "value": "", "wrong": kind.title + ".", "fix": fix}]
    first, more = problems[0], len(problems) - 1
    others = f" {more} more in problems." if more else ""
    query = quote(request.query_string, safe="=&%+:/?,;@!$'()*")
    body = {
        "type": f"{PAGE}#{kind.name}" if kind.name else "about:blank",
        "title": kind.title,
        "status": kind.status,
        "detail": f"{first['field']}: {first['wrong']} {first['fix']}{others}",
        "instance": quote(request.path) + (query and f"?{query}"),
        "problems": problems,
    }
    response = Response(json.dumps(body), kind.status, mimetype=TYPE)
    if kind.retry:
        response.headers["Retry-After"] = kind.retry
    return response


def as_fields(problem: Problem) -> dict[str, Any]:
    """A problem of a service."""
    line = {"line": int(problem.values["line"])} if "line" in problem.values else {}
    return {
        **line,
        "field": problem.field,
        "value": problem.value,
        "wrong": problem.wrong.format(**problem.values),
        "fix": problem.instead.format(**problem.values),
    }


def of_refusal(refusal: Refused) -> Response:
    """What a service refused."""
    kind = next(kind for refused, kind in OF_REFUSALS if isinstance(refusal, refused))
    return answer(kind, [as_fields(each) for each in refusal.problems])


def of_form(messages: Any, path: str = "") -> Iterator[dict[str, str]]:
    """What does not have the form that the document says, from marshmallow's nested messages."""
    if isinstance(messages, dict):
        for name, inner in messages.items():
            yield from of_form(inner, f"{path}.{name}" if path else str(name))
        return
    for text in messages if isinstance(messages, list) else [messages]:
        place, _, name = path.partition(".")
        fix = f"Send it in the form that /api/v1/openapi.json says ({place})."
        yield {"field": name or place, "value": "", "wrong": str(text), "fix": fix}
