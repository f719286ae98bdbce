"""What goes wrong, for programs: problem+json (RFC 9457) with each wrong field and how to fix it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from http import HTTPStatus
from typing import Any

from flask import Response
from marshmallow import Schema, fields

from usermgmt.problems import Conflict, Missing, Problem, Refused

TYPE = "application/problem+json"
PREFIX = "/api/"
FIXES = {
    400: "Send valid JSON, with its Content-Type.",
    401: "Send the header Authorization: Bearer with a token that is valid; an owner makes one.",
    403: "Use a token with the scope, of an admin with the role.",
    404: "Look at /api/v1/openapi.json, and at the list of what there is.",
    503: "Try again in ten seconds.",
}


class ProblemSchema(Schema):
    """One wrong input."""

    line = fields.Integer(metadata={"description": "Of a file that was sent."})
    field = fields.String()
    value = fields.String()
    wrong = fields.String()
    fix = fields.String()


class ProblemsSchema(Schema):
    """The form of every error, as RFC 9457 has it, with the wrong inputs as an extension."""

    title = fields.String()
    status = fields.Integer()
    problems = fields.List(fields.Nested(ProblemSchema))


def answer(status: int, problems: list[dict[str, Any]] | None = None) -> Response:
    """An error as a response; one that is about no field says what to do."""
    title = HTTPStatus(status).phrase
    if problems is None:
        fix = FIXES.get(status, "Look at /api/v1/openapi.json. Nothing was changed.")
        problems = [{"field": "request", "value": "", "wrong": title + ".", "fix": fix}]
    body = json.dumps({"title": title, "status": status, "problems": problems})
    return Response(body, status, mimetype=TYPE)


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
    status = 404 if isinstance(refusal, Missing) else 412 if isinstance(refusal, Conflict) else 422
    return answer(status, [as_fields(each) for each in refusal.problems])


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
