"""What the API description says beyond what FastAPI reads from the routes: headers, raw body, answers."""

from fastapi.responses import JSONResponse, PlainTextResponse

from mailserver_api.problems import VERDICT_HEADER
from mailserver_api.verdicts import Verdict

_TEXT = {"type": "string"}
_PROBLEM = {
    "type": "object",
    "required": ["type", "title", "status", "detail", "verdict"],
    "properties": {
        **dict.fromkeys(("type", "title", "detail"), _TEXT),
        "status": {"type": "integer"},
        "verdict": {"enum": [verdict.label for verdict in Verdict]},
        "smtp": {"type": "object", "description": "Step, code and text of postfix's answer, if it was asked"},
    },
}
_ACCEPTED = {
    "type": "object",
    "required": ["verdict", "queue_id", "duplicate"],
    "properties": {
        "verdict": {"const": Verdict.ACCEPTED.label},
        "queue_id": {"type": ["string", "null"]},
        "duplicate": {"type": "boolean", "description": "It was accepted before and not delivered again"},
    },
}
_STATUS = {
    "type": "object",
    "required": ["status"],
    "properties": {"status": _TEXT, "reasons": {"type": "array", "items": _TEXT}},
}


def _answer(title: str, schema: dict, media: str = "application/json") -> dict:
    return {"description": title, "content": {media: {"schema": schema}}}


def _problem(verdict: Verdict) -> dict:
    names = [VERDICT_HEADER] + ["Retry-After"] * (verdict in (Verdict.TEMPORARY, Verdict.BUSY))
    headers = {name: {"schema": _TEXT, "required": True} for name in names}
    return {**_answer(verdict.title, _PROBLEM, "application/problem+json"), "headers": headers}


def _header(name: str, text: str, example: str) -> dict:
    schema = {"type": "string", "minLength": 1}
    return {
        "name": name,
        "in": "header",
        "required": True,
        "description": text,
        "schema": schema,
        "example": example,
    }


_TOKEN = {"security": [{"bearer": []}]}
_OPEN = {"security": []}
SECURITY = {"bearer": {"type": "http", "scheme": "bearer", "description": "A line of the tokens file"}}
MESSAGES: dict = {
    "response_class": JSONResponse,
    "responses": {
        200: _answer(Verdict.ACCEPTED.title, _ACCEPTED),
        **{v.status: _problem(v) for v in Verdict if v is not Verdict.ACCEPTED},
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
HEALTH: dict = {"responses": {200: _answer("Alive", _STATUS)}, "openapi_extra": _OPEN}
READY: dict = {
    "responses": {200: _answer("Ready", _STATUS), 503: _answer("Not ready", _STATUS)},
    "openapi_extra": {"security": [{}, {"bearer": []}]},
}
METRICS: dict = {
    "response_class": PlainTextResponse,
    "responses": {401: _problem(Verdict.UNAUTHORIZED), 503: _problem(Verdict.TEMPORARY)},
    "openapi_extra": _TOKEN,
}
