"""What HTTP itself asks of each operation: media types, validators of what is read, links to what follows."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha256
from typing import Any, TypeVar
from urllib.parse import urlencode

from flask import Response, current_app, request

from usermgmt import problem_json

JSON, CSV = "application/json", "text/csv"
View = TypeVar("View", bound=Callable[..., Any])


def view() -> Any:
    """The operation that answers this request, with what was said of it."""
    return current_app.view_functions[str(request.endpoint)]


def takes(media_type: str) -> Callable[[View], View]:
    """Say what an operation takes that is not JSON."""

    def decorate(view: View) -> View:
        view.takes = media_type  # type: ignore[attr-defined]
        return view

    return decorate


def refuse_other_types() -> Response | None:
    """415 for a body in another form than the operation takes, 406 if the answer is wanted in another one."""
    takes, gives = getattr(view(), "takes", ""), getattr(view(), "gives", JSON)
    sent = bool(request.content_length) or "Transfer-Encoding" in request.headers
    if takes and sent and request.mimetype != takes:
        refused = problem_json.answer(415, [wrong("Content-Type", request.mimetype, takes)])
        refused.headers["Accept"] = takes
        return refused
    if "Accept" in request.headers and gives not in request.accept_mimetypes:
        return problem_json.answer(406, [wrong("Accept", request.headers["Accept"][:200], gives)])
    return None


def wrong(header: str, value: str, right: str) -> dict[str, str]:
    """A header that names another media type."""
    said = "This operation has another media type."
    return {"field": header, "value": value, "wrong": said, "fix": f"Use {right}."}


def validate(answer: Response) -> Response:
    """Give what was read an ETag that changes with it, and answer 304 to whoever has it already.

    Of one thing it is its version and, after a point, a hash of what is shown: a log-in is no new version.
    """
    if request.method not in ("GET", "HEAD") or answer.status_code != 200:
        return answer
    version, digest = answer.get_etag()[0], sha256(answer.get_data()).hexdigest()[:16]
    answer.set_etag(f"{version}.{digest}" if version else digest)
    answer.headers["Cache-Control"] = "private, no-cache"
    answer.make_conditional(request)
    return answer


def next_link(cursor: str) -> str | None:
    """Where a list goes on; None at its end."""
    if not cursor:
        return None
    kept = {name: value for name, value in request.args.items() if name not in ("page", "cursor")}
    return f"{request.path}?{urlencode({**kept, 'cursor': cursor})}"
