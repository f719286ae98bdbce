"""Who asks: a token of an admin, or the command line inside the container. Cookies are not looked at."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flask import Response, current_app, g, request
from flask_smorest import Blueprint
from marshmallow import Schema

from usermgmt import problem_json
from usermgmt.api import exchange
from usermgmt.inside import INSIDE
from usermgmt.models import OWNER, Admin, ApiToken
from usermgmt.parts import client_address, database
from usermgmt.permissions import scope
from usermgmt.permit import NotPermitted, NotTheirs, check_permission
from usermgmt.problems import CHANGED_MEANWHILE, Conflict, Problem, Refused
from usermgmt.services.accounts import load
from usermgmt.services.audit import COMMAND_LINE, Actor
from usermgmt.services.tokens import find_token


class Operations(Blueprint):
    """A blueprint whose operations know what may be in their query, and what they take and give."""

    def arguments(self, schema: type[Schema], *, location: str = "json", **more: Any) -> Callable[..., Any]:
        """As ever, and the view gets the names and the media type."""
        decorate = super().arguments(schema, location=location, **more)

        def with_names(view: Callable[..., Any]) -> Any:
            found = decorate(view)
            if location == "query":
                found.query = {*schema().fields}
            else:
                found.takes = exchange.JSON
            return found

        return with_names

    def response(self, status_code: int, schema: Any = None, **more: Any) -> Callable[..., Any]:
        """As ever, and the view gets status and media type."""
        decorate = super().response(status_code, schema, **more)

        def with_type(view: Callable[..., Any]) -> Any:
            found = decorate(view)
            found.status, found.gives = status_code, more.get("content_type") or exchange.JSON
            return found

        return with_type


blueprint = Operations(
    "api", __name__, url_prefix="/api/v1", description="Domains, mailboxes, aliases, mail."
)


def shown_secret() -> str:
    """The token that the request shows; empty if it shows none."""
    kind, _, secret = request.headers.get("Authorization", "").partition(" ")
    return secret.strip() if kind.lower() == "bearer" else ""


def identify() -> tuple[Admin | None, ApiToken | None]:
    """Whose token the request shows, if it is valid and its admin may still log in."""
    if request.environ.get(INSIDE) is True:
        return Admin(email=COMMAND_LINE.name, role=OWNER, active=True), None
    secret = shown_secret()
    if not secret:
        return None, None
    with database().transaction() as db:
        token = find_token(db, secret)
        account = load(db, "admin", token.admin_id or 0) if token else None
    return (account, token) if isinstance(account, Admin) else (None, None)


@blueprint.before_request
def authorise() -> Response | None:
    """Refuse a request without a valid token, and what the token or its admin may not do."""
    g.account, g.token = identify()
    if g.account is None:
        refused = problem_json.answer(401)
        refused.headers["WWW-Authenticate"] = 'Bearer realm="usermgmt"'
        return refused
    if request.method == "OPTIONS":
        return None  # Flask says which methods there are
    try:
        check_permission(g.account, g.token)
    except NotPermitted:
        return problem_json.answer(403)
    except NotTheirs:
        return problem_json.answer(404)
    return refuse_unknown_query() or exchange.refuse_other_types()


def refuse_unknown_query() -> Response | None:
    """Refuse a parameter that the operation does not have: ignored, a wrong name would do something else."""
    known: set[str] = getattr(current_app.view_functions[str(request.endpoint)], "query", set())
    wrong, fix = "There is no such parameter.", "Use some of: {known}." if known else "Send none."
    unknown = [
        Problem(name, value, wrong, fix, {"known": ", ".join(sorted(known))})
        for name, value in request.args.items()
        if name not in known
    ]
    return problem_json.of_refusal(Refused(unknown)) if unknown else None


@blueprint.errorhandler(Refused)
def refused(refusal: Refused) -> Response:
    """Every refusal of a service."""
    return problem_json.of_refusal(refusal)


def actor() -> Actor:
    """Who acts, for the audit log: the admin and the name of the token."""
    name = f"{g.account.email} (token {g.token.name})" if g.token else g.account.email
    return Actor(name, client_address(), permitted())


def permitted() -> frozenset[int] | None:
    """The domains that the token reaches; None for all."""
    return scope(g.account, g.token)


def expect(version: int, subject: str) -> None:
    """Raise Conflict unless the version is the one that If-Match names, if the request has that."""
    # An empty tag is None there.
    wanted = {(tag or "").partition(".")[0] for tag in request.if_match.as_set()}
    if request.if_match and not request.if_match.star_tag and str(version) not in wanted:
        raise Conflict(Problem("If-Match", subject, *CHANGED_MEANWHILE))


def tagged(version: int) -> dict[str, str]:
    """The header with which a later change can say which version it means."""
    return {"ETag": f'"{version}"'}


def created(path: str, version: int | None = None) -> dict[str, str]:
    """The headers of what is new: where it is, and its version."""
    return {"Location": blueprint.url_prefix + path} | (tagged(version) if version else {})


blueprint.after_request(exchange.validate)
