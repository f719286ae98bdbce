"""Log in and out."""

from __future__ import annotations

import logging

from flask import Blueprint, g, redirect, render_template, request, session, url_for
from werkzeug.wrappers import Response

from usermgmt.services.logins import WINDOW, Throttled, log_in, log_out
from usermgmt.web.context import actor, client_address, database, parts, tell
from usermgmt.web.errors import error_page
from usermgmt.web.sessions import admin_of_session, start_session

log = logging.getLogger("usermgmt")
blueprint = Blueprint("auth", __name__)


@blueprint.get("/login")
def login() -> str | Response:
    """The log-in form, unless nobody could log in now."""
    if not database().is_ready():
        return error_page(503)
    if admin_of_session():
        return redirect(url_for("overview.show"))
    return render_template("login.html", email="", wrong=False)


@blueprint.post("/login")
def submit_login() -> str | Response | tuple[str, int]:
    """Check the password; the answer to a wrong one does not tell whether the address exists."""
    email = request.form.get("email", "").strip()
    password = request.form.get("password", "")
    try:
        found = log_in(database(), parts().hasher, email, password, client_address())
    except Throttled:
        log.warning("log-in throttled for %s", client_address() or "an unknown client")
        response = error_page(429)
        response.headers["Retry-After"] = str(int(WINDOW.total_seconds()))
        return response
    if found is None:
        return render_template("login.html", email=email[:320], wrong=True), 401
    start_session(found)
    return redirect(url_for("overview.show"), 303)


@blueprint.post("/logout")
def logout() -> Response:
    """End all sessions of the admin."""
    g.admin = admin_of_session()
    if g.admin:
        with database().transaction() as db:
            log_out(db, actor())
    session.clear()
    tell("You are logged out.")
    return redirect(url_for("auth.login"), 303)
