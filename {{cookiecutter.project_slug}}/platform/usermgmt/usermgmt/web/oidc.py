"""The OpenID provider of the webmail.

Browsers come to the account site. The webmail's server comes to another name, inside the stack, where it gets
its tokens and nothing else: no way from outside leads there.
"""

from __future__ import annotations

from authlib.oauth2 import OAuth2Error
from flask import Blueprint, abort, g, jsonify, redirect, render_template, request, session, url_for
from werkzeug.wrappers import Response

from usermgmt.parts import database, parts
from usermgmt.permissions import may
from usermgmt.permit import permits
from usermgmt.services import oidc
from usermgmt.services.oidc_keys import ALGORITHM, public_keys
from usermgmt.web import onward
from usermgmt.web.context import tell
from usermgmt.web.oidc_server import server
from usermgmt.web.sessions import csrf, identify
from usermgmt.web.sites import INSIDE, MAILBOX, kind_here, site

blueprint = Blueprint("oidc", __name__)
Page = str | Response | tuple[str, int]


@blueprint.before_request
def refuse_the_other_site() -> None:
    """People only: admins have no mail here."""
    if request.endpoint != "oidc.token" and kind_here() != MAILBOX:
        abort(404)


@blueprint.get("/oidc/authorize")
@permits("webmail.open")
def authorize() -> Page:
    """Send the browser back to the webmail with a code, once somebody is logged in.

    Nobody is asked to consent: it is our own webmail.
    """
    identify()
    known = may(g.account, "webmail.open")
    person = oidc.Opened(g.web_session, g.account) if known else None
    try:
        grant = server.get_consent_grant(end_user=person)
    except OAuth2Error as error:
        # Only to the webmail's own address, which was compared by then; anything else is answered here.
        if error.redirect_uri:
            return _answer(server.handle_error_response(None, error))
        return render_template("oidc_error.html"), 400
    if person is None:
        session.pop("token", None)
        onward.remember(request.query_string.decode("ascii", "replace"))
        return redirect(url_for("auth.login"))
    onward.forget()
    return _answer(server.create_authorization_response(grant=grant, grant_user=person))


@blueprint.post("/oidc/token")
@csrf.exempt
def token() -> Response:
    """The webmail's server exchanges a code or a refresh token."""
    return _answer(server.create_token_response())


@blueprint.get("/oidc/logout")
def logout() -> Response:
    """Whoever leaves the webmail leaves the account pages too. The token proves that the webmail asks."""
    with database().transaction() as db:
        ended = oidc.session_of_identity(db, parts().settings.issuer, request.args.get("id_token_hint", ""))
        if ended is not None:
            oidc.end(db, ended)
    identify()
    if ended is None:
        return redirect(url_for("account.show"), 303)
    if g.account is None:
        session.clear()
        tell("You are logged out.")
    return redirect(url_for("auth.login"), 303)


@blueprint.get("/oidc/keys")
def keys() -> Response:
    """What verifies our tokens."""
    with database().transaction() as db:
        return jsonify(keys=public_keys(db))


@blueprint.get("/.well-known/openid-configuration")
def discovery() -> Response:
    """What there is, as OpenID Connect Discovery has it. Tokens are given inside the stack only."""
    here = site(MAILBOX).origin
    return jsonify(
        issuer=parts().settings.issuer,
        authorization_endpoint=here + url_for("oidc.authorize"),
        token_endpoint=f"http://{INSIDE}:8080{url_for('oidc.token')}",
        end_session_endpoint=here + url_for("oidc.logout"),
        jwks_uri=here + url_for("oidc.keys"),
        response_types_supported=["code"],
        grant_types_supported=["authorization_code", "refresh_token"],
        code_challenge_methods_supported=["S256"],
        token_endpoint_auth_methods_supported=["client_secret_post"],
        id_token_signing_alg_values_supported=[ALGORITHM],
        scopes_supported=list(oidc.SCOPES),
        subject_types_supported=["public"],
    )


def _answer(response: Response) -> Response:
    """For the type checker: Authlib has no types."""
    return response
