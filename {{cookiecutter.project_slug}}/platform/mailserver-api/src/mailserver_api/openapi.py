"""What the API description says beyond what FastAPI reads from the routes: headers, raw body, answers."""

from typing import Any

from fastapi.responses import PlainTextResponse

from mailserver_api.problems import REASON_HEADER, VERDICT_HEADER
from mailserver_api.verdicts import Verdict

#: A part of the description: an object of JSON.
Part = dict[str, Any]

_TEXT: Part = {"type": "string"}
_WHETHER: Part = {"type": "boolean"}


def _answer(title: str, media: str = "application/json", /, **properties: Part) -> Part:
    """An answer that is an object; its properties are required, but for those with a default."""
    required = [name for name, schema in properties.items() if "default" not in schema]
    schema = {"type": "object", "required": required, "properties": properties}
    return {"description": title, "content": {media: {"schema": schema}}}


def _problem(verdict: Verdict) -> Part:
    labels = {"enum": [verdict.label for verdict in Verdict]}
    texts = dict.fromkeys(("type", "title", "detail"), _TEXT)
    body = _answer(
        verdict.title, "application/problem+json", **texts, status={"type": "integer"}, verdict=labels
    )
    names = [VERDICT_HEADER] + ["Retry-After"] * (verdict in (Verdict.TEMPORARY, Verdict.BUSY))
    headers: Part = {name: {"schema": _TEXT, "required": True} for name in names}
    if verdict is Verdict.REFUSED:
        headers[REASON_HEADER] = {"schema": _TEXT, "description": "Why, in the filter's words"}
    return {**body, "headers": headers}


def _header(name: str, text: str, example: str) -> Part:
    schema = {"type": "string", "minLength": 1, "example": example}
    return {"name": name, "in": "header", "required": True, "description": text, "schema": schema}


_STATUS: Part = {"status": _TEXT, "reasons": {"type": "array", "items": _TEXT, "default": []}}
_TOKEN: Part = {"security": [{"bearer": []}]}
SECURITY = {"bearer": {"type": "http", "scheme": "bearer", "description": "A line of the tokens file"}}
MESSAGES: Part = {
    "responses": {
        **{verdict.status: _problem(verdict) for verdict in Verdict},
        200: _answer(
            Verdict.ACCEPTED.title, verdict=_TEXT, queue_id={"type": ["string", "null"]}, duplicate=_WHETHER
        ),
    },
    "openapi_extra": {
        **_TOKEN,
        "parameters": [
            _header("X-Envelope-From", "The sender, or <> for the null sender", "writer@sender.example"),
            _header("X-Envelope-To", "The one recipient, in ASCII or UTF-8", "reader@here.example"),
        ],
        "requestBody": {
            "required": True,
            "description": "The message as it came (RFC 5322), byte for byte",
            "content": {"message/rfc822": {"schema": {"type": "string", "format": "binary"}}},
        },
    },
}
HEALTH: Part = {"responses": {200: _answer("Alive", **_STATUS)}}
READY: Part = {"responses": {200: _answer("Ready", **_STATUS), 503: _answer("Not ready", **_STATUS)}}
METRICS: Part = {
    "response_class": PlainTextResponse,
    "responses": {401: _problem(Verdict.UNAUTHORIZED), 503: _problem(Verdict.TEMPORARY)},
    "openapi_extra": _TOKEN,
}
