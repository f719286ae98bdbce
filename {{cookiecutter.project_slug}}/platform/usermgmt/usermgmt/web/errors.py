"""Friendly pages for what goes wrong."""

from __future__ import annotations

import logging

from flask import Flask, Response, make_response, render_template, request
from flask_wtf.csrf import CSRFError
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from werkzeug.exceptions import HTTPException, MethodNotAllowed, SecurityError

from usermgmt import problem_json
from usermgmt.problems import Conflict, Missing
from usermgmt.web.sessions import identify

log = logging.getLogger("usermgmt")

# What each status says: a title and what to do.
TEXTS = {
    400: ("That form is too old", "Go back, reload the page and send it again. Nothing was changed."),
    403: ("You are not allowed to do that", "Ask an owner of this server. Nothing was changed."),
    404: ("There is nothing here", "It may have been deleted meanwhile. Nothing was changed."),
    405: ("That is not possible here", "Start again from the overview. Nothing was changed."),
    409: (
        "Somebody else changed this meanwhile",
        "Go back, reload the page and decide again. Nothing was changed.",
    ),
    413: ("That was too much at once", "Send fewer addresses at once. Nothing was changed."),
    429: ("Too many wrong passwords", "Wait 15 minutes, then try again."),
    500: ("Something went wrong", "The log of the service says what. Nothing was changed."),
    503: ("The database is not answering", "This page works again as soon as it does. Nothing was changed."),
}


def error_page(status: int) -> Response:
    """The page for a status; programs get a document of their own."""
    if request.path.startswith(problem_json.PREFIX):
        return problem_json.answer(status)
    title, advice = TEXTS.get(status, TEXTS[500])
    if status < 500:
        # Whoever is logged in keeps the navigation also where no page is.
        identify()
    return timed(make_response(render_template("error.html", title=title, advice=advice), status))


def timed(response: Response) -> Response:
    """The answer, with the time to wait if that helps."""
    if response.status_code == 503:
        response.headers["Retry-After"] = problem_json.RETRY_SECONDS
    return response


def on_database_error(error: Exception) -> Response:
    """The database is down, overloaded or not set up yet; the log has one line, not a traceback."""
    cause = getattr(error, "orig", None) or error
    log.error("the database did not answer: %s", str(cause).splitlines()[0] if str(cause) else type(cause))
    return error_page(503)


def on_http_error(error: HTTPException) -> Response | HTTPException:
    """Everything that Flask refuses by itself; redirects pass."""
    status = error.code or 500
    # What webargs says of the form of a request.
    messages = (getattr(error, "data", None) or {}).get("messages")
    if messages and status == 422:
        return problem_json.answer(problem_json.INVALID, list(problem_json.of_form(messages)))
    if status < 400:
        return error
    shown = error_page(status)
    if isinstance(error, MethodNotAllowed):
        shown.headers["Allow"] = ", ".join(sorted(error.valid_methods or ()))
    return shown


def on_foreign_host(error: SecurityError) -> Response:
    """The Host header is not ours: plain words, since no link can be made for a host that is not trusted."""
    return Response("This host name is not served here.\n", error.code, mimetype="text/plain")


def init_app(app: Flask) -> None:
    """Register the pages."""
    app.register_error_handler(DBAPIError, on_database_error)
    app.register_error_handler(PoolTimeout, on_database_error)
    app.register_error_handler(SecurityError, on_foreign_host)
    app.register_error_handler(CSRFError, lambda error: error_page(400))
    app.register_error_handler(Conflict, lambda error: error_page(409))
    app.register_error_handler(Missing, lambda error: error_page(404))
    app.register_error_handler(HTTPException, on_http_error)
