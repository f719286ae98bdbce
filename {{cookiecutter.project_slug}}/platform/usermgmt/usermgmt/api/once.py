"""Idempotency-Key: a creation that is sent again, because its answer was lost, is not done again."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from typing import Any, TypeVar

from flask import Response, g, request
from sqlalchemy.exc import DBAPIError

from usermgmt import problem_json
from usermgmt.api.access import blueprint, shown_secret
from usermgmt.api.exchange import view
from usermgmt.parts import database
from usermgmt.services import idempotency

log = logging.getLogger("usermgmt")
HEADER, REPLAYED = "Idempotency-Key", "Idempotency-Replayed"
LONGEST = 255
KEPT_HEADERS = ("Content-Type", "Location", "ETag")
KINDS: dict[type[Exception], problem_json.Kind] = {
    idempotency.Reused: problem_json.KEY_REUSED,
    idempotency.Busy: problem_json.KEY_BUSY,
    idempotency.Full: problem_json.KEYS_FULL,
}
View = TypeVar("View", bound=Callable[..., Any])


def creates(view: View) -> View:
    """Say of an operation that it adds something, and so takes an Idempotency-Key."""
    view.creates = True  # type: ignore[attr-defined]
    return view


@blueprint.before_request
def begin() -> Response | None:
    """Answer a repeated request as before; else remember that this one is being answered."""
    key = request.headers.get(HEADER)
    if key is None or g.token is None or request.method != "POST" or not getattr(view(), "creates", False):
        return None
    # As the draft of the header has it, a string with quotation marks; most programs leave them out.
    key = key[1:-1] if len(key) > 1 and key[0] == key[-1] == '"' else key
    if not (0 < len(key) <= LONGEST and key.isascii() and key.isprintable()):
        fix = "Send 1 to 255 letters, digits and signs, such as a UUID."
        told = {"field": HEADER, "value": key[:80], "wrong": "This is no key.", "fix": fix}
        return problem_json.answer(problem_json.INVALID, [told])
    keys = idempotency.Keyring(shown_secret(), key)
    asked = b"\0".join((request.full_path.encode(), request.mimetype.encode(), request.get_data()))
    try:
        with database().transaction() as db:
            number, before = idempotency.claim(db, g.token, keys, asked)
    except tuple(KINDS) as refusal:
        kind = KINDS[type(refusal)]
        told = {"field": HEADER, "value": key, "wrong": f"{kind.title}.", "fix": kind.advice}
        return problem_json.answer(kind, [told])
    if before is None:
        g.once = (number, keys)
        return None
    kept = json.loads(before)
    return Response(kept["body"], kept["status"], {**kept["headers"], REPLAYED: "true"})


@blueprint.after_request
def keep(answer: Response) -> Response:
    """Keep the answer to what was done; forget the key of what was refused."""
    if "once" not in g:
        return answer
    number, keys = g.pop("once")
    headers = {name: answer.headers[name] for name in KEPT_HEADERS if name in answer.headers}
    kept = {"status": answer.status_code, "headers": headers, "body": answer.get_data(as_text=True)}
    sealed = keys.seal(json.dumps(kept).encode()) if answer.status_code < 300 else None
    try:
        with database().transaction() as db:
            idempotency.finish(db, number, sealed)
    except DBAPIError as error:
        # It is done, and the program has its answer. The same key has to wait for a while.
        log.error("the answer to a request with an Idempotency-Key was not kept: %s", error.orig)
    return answer
