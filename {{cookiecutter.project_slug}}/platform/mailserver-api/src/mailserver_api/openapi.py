"""What the API description says beyond what FastAPI reads from the routes: headers, raw body, answers."""

from typing import Any

from fastapi.responses import PlainTextResponse

from mailserver_api.forwards import Report as ForwardReport
from mailserver_api.problems import REASON_HEADER, RETRY_AFTER_SECONDS, VERDICT_HEADER
from mailserver_api.verdicts import Verdict
from mailserver_api.watch import Report

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
    names = [VERDICT_HEADER] + ["Retry-After"] * (verdict in RETRY_AFTER_SECONDS)
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
            Verdict.ACCEPTED.title,
            verdict=_TEXT,
            queue_id={"type": ["string", "null"]},
            duplicate=_WHETHER,
            forward={"type": "object", "default": {}},
        ),
    },
    "openapi_extra": {
        **_TOKEN,
        "parameters": [
            _header("X-Envelope-From", "The sender, or <> for the null sender", "writer@sender.example"),
            _header("X-Envelope-To", "The one recipient, in ASCII or UTF-8", "reader@here.example"),
            {
                "name": "X-Canary-Pass",
                "in": "header",
                "description": "The canaries' word, by which their mail is taken while others' waits",
                "schema": _TEXT,
            },
            {
                "name": "X-Can-Forward",
                "in": "header",
                "description": "The caller can forward the mail; the answer's `forward` says where to",
                "schema": _TEXT,
            },
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
ALIVE: Part = {"responses": {200: _answer("Alive", **_STATUS), 503: _answer("Not alive", **_STATUS)}}
_CLOSED: dict[int, Part] = {401: _problem(Verdict.UNAUTHORIZED), 503: _problem(Verdict.TEMPORARY)}
_LIST: Part = {"type": "array", "items": {"type": "object"}}
_NUMBER: Part = {"type": ["integer", "null"]}
MONITOR: Part = {
    "responses": {200: _answer("The monitor's state", at=_NUMBER, incidents=_LIST), **_CLOSED},
    "openapi_extra": _TOKEN,
}
_COUNTS = {"waiting": {"type": "integer"}, "bytes": {"type": "integer"}, "oldest": _NUMBER}
SPOOL: Part = {
    "responses": {200: _answer("The newest report", at=_NUMBER, **_COUNTS, refused=_LIST), **_CLOSED},
    "openapi_extra": _TOKEN,
}
_REPORT: Part = Report.model_json_schema()
_REPORT["properties"]["refused"]["items"] = _REPORT.pop("$defs")["Refused"]
SPOOL_REPORT: Part = {
    "responses": {
        200: _answer("Kept", **_STATUS),
        400: _problem(Verdict.MALFORMED),
        413: _problem(Verdict.TOO_LARGE),
        **_CLOSED,
    },
    "openapi_extra": {
        **_TOKEN,
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": _REPORT}},
        },
    },
}
FORWARDS: Part = {
    "responses": {200: _answer("What was not forwarded", failed=_LIST), **_CLOSED},
    "openapi_extra": _TOKEN,
}
FORWARD_REPORT: Part = {
    "responses": {
        200: _answer("Kept", **_STATUS),
        400: _problem(Verdict.MALFORMED),
        413: _problem(Verdict.TOO_LARGE),
        **_CLOSED,
    },
    "openapi_extra": {
        **_TOKEN,
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": ForwardReport.model_json_schema()}},
        },
    },
}
# Its token is no line of the tokens file, and while there is none, it answers everybody 404.
DEPLOY: Part = {
    "status_code": 202,
    "responses": {
        202: _answer("The host was asked to look", **_STATUS),
        404: _answer("Nobody made a token: switched off", **_STATUS),
        429: _problem(Verdict.BUSY),
        **_CLOSED,
    },
}
METRICS: Part = {
    "response_class": PlainTextResponse,
    "responses": {401: _problem(Verdict.UNAUTHORIZED), 503: _problem(Verdict.TEMPORARY)},
    "openapi_extra": _TOKEN,
}
