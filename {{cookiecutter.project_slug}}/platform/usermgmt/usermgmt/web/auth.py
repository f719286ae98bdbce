"""Log in and out, with a second step where the account has a second factor."""

from __future__ import annotations

import logging

from flask import Blueprint, g, redirect, render_template, request, session, url_for
from webauthn.helpers import base64url_to_bytes, bytes_to_base64url
from werkzeug.wrappers import Response

from usermgmt.models import Admin
from usermgmt.parts import client_address, database, parts
from usermgmt.services import passkeys, second_factor
from usermgmt.services.accounts import Account
from usermgmt.services.logins import (
    WINDOW,
    Login,
    Throttled,
    check_throttle,
    count_failure,
    device_mark,
    finish,
    known_device,
    log_in,
    log_out,
)
from usermgmt.web import onward
from usermgmt.web.context import actor, tell
from usermgmt.web.errors import error_page
from usermgmt.web.i18n import cookie_name, remember
from usermgmt.web.sessions import (
    end_session,
    identify,
    pending_login,
    start_session,
    wait_for_second_factor,
)
from usermgmt.web.sites import kind_here, site

log = logging.getLogger("usermgmt")
blueprint = Blueprint("auth", __name__)


def home(account: Account) -> str:
    """Where somebody goes after the log-in."""
    return url_for("overview.show" if isinstance(account, Admin) else "account.show")


def throttled() -> Response:
    """The answer to too many wrong passwords."""
    log.warning("log-in throttled for %s", client_address() or "an unknown client")
    response = error_page(429)
    response.headers["Retry-After"] = str(int(WINDOW.total_seconds()))
    return response


@blueprint.get("/login")
def login() -> str | Response:
    """The log-in form, unless nobody could log in now."""
    if not database().is_ready():
        return error_page(503)
    identify()
    if g.account:
        return redirect(home(g.account))
    return render_template("login.html", email="", wrong=False)


@blueprint.post("/login")
def submit_login() -> str | Response | tuple[str, int]:
    """Check the password; the answer to a wrong one does not tell whether the address exists."""
    email = request.form.get("email", "").strip()
    password = request.form.get("password", "")
    try:
        found = log_in(
            database(), parts().hasher, kind_here(), email, password, client_address(), device(email)
        )
    except Throttled:
        return throttled()
    if found is None:
        return render_template("login.html", email=email[:320], wrong=True), 401
    with database().transaction() as db:
        two_steps = second_factor.is_on(db, found.account)
    if two_steps:
        wait_for_second_factor(found)
        return redirect(url_for("auth.second"), 303)
    return let_in(found)


def device(email: str) -> str:
    """The name of this browser, if it logged in to that account before."""
    return known_device(parts().settings.session_key, email, request.cookies.get(cookie_name("device"), ""))


def let_in(found: Login) -> Response:
    """Everything was right."""
    account = found.account
    with database().transaction() as db:
        finish(db, found.attempt, account, client_address())
    goal = onward.asked() or home(account)
    start_session(account)
    return known(redirect(goal, 303), account)


def known(response: Response, account: Account) -> Response:
    """Give the browser its mark: strangers who guess this account's password do not hold it back."""
    remember(response, "device", device_mark(parts().settings.session_key, account.email))
    return response


def second_page(account: Account, wrong: bool, status: int = 200) -> tuple[str, int]:
    """The question for the second factor, with a new challenge for a passkey."""
    with database().transaction() as db:
        options, challenge = passkeys.options_to_use(db, account, site())
        has_passkey = bool(second_factor.passkeys_of(db, account))
    session["challenge"] = bytes_to_base64url(challenge)
    g.script = has_passkey
    page = render_template("second.html", options=options, has_passkey=has_passkey, wrong=wrong)
    return page, status


@blueprint.get("/login/second")
def second() -> Response | tuple[str, int]:
    """Ask for the second factor."""
    found = pending_login()
    return redirect(url_for("auth.login")) if found is None else second_page(found.account, False)


@blueprint.post("/login/second")
def submit_second() -> Response | tuple[str, int]:
    """Check a code of the app, a recovery code, or what a passkey signed."""
    found = pending_login()
    if found is None:
        return redirect(url_for("auth.login"), 303)
    account = found.account
    challenge = base64url_to_bytes(session.pop("challenge", ""))
    try:
        with database().transaction() as db:
            # The right password, whose attempt waits for this, is no failure.
            check_throttle(db, account.email, client_address(), device(account.email), allowance=1)
            credential = request.form.get("credential", "")
            if credential:
                right = bool(challenge) and passkeys.verify(db, account, site(), challenge, credential)
            else:
                right = second_factor.verify(db, account, request.form.get("code", "")[:100])
    except Throttled:
        return throttled()
    if not right:
        count_failure(database(), account.email, client_address(), device(account.email))
        return second_page(account, True, 401)
    return let_in(found)


@blueprint.post("/logout")
def logout() -> Response:
    """End this session."""
    identify()
    if g.account:
        with database().transaction() as db:
            log_out(db, actor())
    end_session()
    tell("You are logged out.")
    return redirect(url_for("auth.login"), 303)
