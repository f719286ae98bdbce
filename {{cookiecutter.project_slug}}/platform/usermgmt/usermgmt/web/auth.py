"""Log in and out: by password and second step, where an account has a second factor, or by passkey alone."""

from __future__ import annotations

import logging
from typing import Any

from flask import Blueprint, g, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from usermgmt.models import Admin
from usermgmt.parts import client_address, database, parts
from usermgmt.services import passkeys, second_factor
from usermgmt.services.accounts import Account
from usermgmt.services.logins import (
    WINDOW,
    Login,
    Throttled,
    begin,
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
    keep_challenge,
    pending_login,
    start_session,
    take_challenge,
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


def login_page(status: int = 200, **said: Any) -> tuple[str, int]:
    """The log-in form with what is `said` above it, and a new challenge for a passkey."""
    options, challenge = passkeys.options_alone(site())
    keep_challenge(challenge)
    g.script = True
    return render_template("login.html", options=options, **said), status


@blueprint.get("/login")
def login() -> Response | tuple[str, int]:
    """The log-in form, unless nobody could log in now."""
    if not database().is_ready():
        return error_page(503)
    identify()
    if g.account:
        return redirect(home(g.account))
    return login_page()


@blueprint.post("/login")
def submit_login() -> Response | tuple[str, int]:
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
        return login_page(401, email=email[:320], wrong=True)
    with database().transaction() as db:
        two_steps = second_factor.is_on(db, found.account)
    if two_steps:
        wait_for_second_factor(found)
        return redirect(url_for("auth.second"), 303)
    return let_in(found)


@blueprint.post("/login/passkey")
def submit_passkey() -> Response | tuple[str, int]:
    """Log in by a passkey alone. No throttle: nobody guesses a signature, and a wrong one leaves no trace."""
    challenge, answer = take_challenge(), request.form.get("credential", "")
    with database().transaction() as db:
        account = passkeys.find_account(db, kind_here(), site(), challenge, answer)
        found = begin(db, account, client_address(), device(account.email), "passkey") if account else None
    if found is None:
        log.info("a passkey from %s was not accepted", client_address() or "-")
        return login_page(401, no_passkey=True)
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
    keep_challenge(challenge)
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
    challenge = take_challenge()
    try:
        with database().transaction() as db:
            # The right password, whose attempt waits for this, is no failure.
            check_throttle(db, account.email, client_address(), device(account.email), allowance=1)
            credential = request.form.get("credential", "")
            if credential:
                right = passkeys.verify(db, account, site(), challenge, credential)
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
