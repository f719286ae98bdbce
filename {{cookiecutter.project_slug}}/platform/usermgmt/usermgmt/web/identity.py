"""Log in by what Cloudflare Access verified before it let this request through."""

from __future__ import annotations

import logging

from flask import Blueprint, Flask, redirect, request, url_for
from werkzeug.wrappers import Response

from usermgmt.parts import client_address, database, parts
from usermgmt.services import identity, second_factor
from usermgmt.services.accounts import by_address
from usermgmt.web.auth import device, let_in, login_page
from usermgmt.web.proxy import through_nginx
from usermgmt.web.sessions import wait_for_second_factor
from usermgmt.web.sites import MAILBOX, kind_here

log = logging.getLogger("usermgmt.logins")
blueprint = Blueprint("identity", __name__)
HEADER = "Cf-Access-Jwt-Assertion"


def provider_here() -> identity.Provider | None:
    """Whose word counts on this site."""
    return identity.provider_of(parts().settings.edge_file, request.host.partition(":")[0])


def verified() -> str:
    """The address that Access verified for this request, or nothing.

    nginx passes the header on only from the tunnel, so it counts only in what nginx passes on.
    """
    assertion = request.headers.get(HEADER, "")
    provider = provider_here()
    if provider is None or not assertion or not through_nginx():
        return ""
    try:
        with database().transaction() as db:
            return identity.verified_address(db, provider, assertion)
    except identity.Unproven as error:
        log.warning("an assertion of Access from %s was not accepted: %s", client_address() or "-", error)
        return ""


@blueprint.post("/login/access")
def log_in() -> Response | tuple[str, int]:
    """Begin a session for the account with the verified address; ask for its second factor first."""
    address = verified()
    if not address:
        return redirect(url_for("auth.login"), 303)
    kind, provider = kind_here(), provider_here()
    with database().transaction() as db:
        if kind == MAILBOX and provider and provider.creates and not by_address(db, kind, address):
            identity.create_mailbox(db, parts().hasher, address, client_address())
        found = identity.begin_login(db, kind, address, client_address(), device(address))
        two_steps = found is not None and second_factor.is_on(db, found.account)
    if found is None:
        return login_page(403, nobody=address)
    if two_steps:
        wait_for_second_factor(found)
        return redirect(url_for("auth.second"), 303)
    return let_in(found)


def init_app(app: Flask) -> None:
    """Let the log-in page ask whether there is somebody to log in."""
    app.jinja_env.globals["verified_by_access"] = verified
