"""Who is logged in: a random token in a signed cookie, and its row in `web_sessions`."""

from __future__ import annotations

import hashlib
import hmac
from datetime import datetime, timedelta

from flask import Blueprint, Flask, abort, current_app, g, redirect, request, session, url_for
from flask.sessions import SecureCookieSessionInterface, SessionMixin
from flask_wtf.csrf import CSRFProtect, generate_csrf
from markupsafe import Markup
from webauthn.helpers import base64url_to_bytes, bytes_to_base64url
from werkzeug.wrappers import Response

from usermgmt.models import Admin, utc_now
from usermgmt.parts import client_address, database
from usermgmt.permissions import OF_PEOPLE
from usermgmt.permit import NotPermitted, NotTheirs, check_permission
from usermgmt.services import web_sessions
from usermgmt.services.accounts import Account, kind_of, load
from usermgmt.services.audit import refuse_outdated
from usermgmt.services.logins import Login
from usermgmt.services.passkeys import CHALLENGE_LASTS, Challenge
from usermgmt.web import onward
from usermgmt.web.context import seen_version
from usermgmt.web.sites import kind_here

#: How long a right password waits for its second factor.
PENDING = timedelta(minutes=5)

csrf = CSRFProtect()


class SessionOfPages(SecureCookieSessionInterface):
    """Renews the cookie with every page, and never with a file of one.

    A style sheet or an icon is asked for beside the next page: its late answer would bring back the cookie
    that it was asked with, without the challenge or the form token that this page has put there since.
    """

    def should_set_cookie(self, app: Flask, session: SessionMixin) -> bool:
        """Whether the answer carries the cookie."""
        return request.endpoint != "static" and super().should_set_cookie(app, session)


def csrf_field() -> Markup:
    """The hidden input that proves a form came from one of our pages."""
    return Markup('<input type="hidden" name="csrf_token" value="{}">').format(generate_csrf())


def stamp(account: Account) -> str:
    """Changes with the password, whoever changed it, and tells nothing about it without the session key."""
    key = str(current_app.secret_key).encode()
    text = f"stamp:{kind_of(account)}:{account.id}:{account.password_hash}"
    return hmac.new(key, text.encode(), hashlib.sha256).hexdigest()[:32]


def fits(account: Account) -> bool:
    """Whether the cookie was made for the account with the password that it has now."""
    return hmac.compare_digest(stamp(account), str(session.get("stamp")))


def start_session(account: Account) -> None:
    """Begin again: nothing that was in the cookie before the log-in, its CSRF token included, goes on."""
    session.clear()
    session.permanent = True
    with database().transaction() as db:
        session["token"] = web_sessions.begin(db, account, client_address(), request.user_agent.string)
    session["stamp"] = stamp(account)


def wait_for_second_factor(login: Login) -> None:
    """Remember whose password was right; that alone opens no page."""
    account, back = login.account, session.get(onward.ASKED)
    session.clear()
    session[onward.ASKED] = back
    session["pending"] = [kind_of(account), account.id, login.attempt, utc_now().isoformat()]
    session["stamp"] = stamp(account)


def pending_login() -> Login | None:
    """The log-in whose password was right a moment ago."""
    kind, number, attempt, since = session.get("pending") or ("", 0, 0, "")
    if not since or utc_now() - datetime.fromisoformat(since) > PENDING:
        return None
    with database().transaction() as db:
        account = load(db, kind, number) if kind == kind_here() else None
    return Login(account, attempt) if account is not None and fits(account) else None


def keep_challenge(challenge: bytes) -> None:
    """Remember what the page asks a passkey to sign."""
    session["challenge"] = [bytes_to_base64url(challenge), utc_now().isoformat()]


def take_challenge() -> Challenge | None:
    """What the page that sent this form had asked for; nothing if that was long ago."""
    value, since = session.pop("challenge", None) or ("", "")
    if not since or utc_now() - datetime.fromisoformat(since) > CHALLENGE_LASTS:
        return None
    return Challenge(base64url_to_bytes(value), datetime.fromisoformat(since))


def account_of_session() -> Account | None:
    """The account whose valid session this request carries."""
    token = session.get("token")
    if not isinstance(token, str):
        return None
    with database().transaction() as db:
        row = web_sessions.find(db, token)
        if row is None:
            return None
        kind, number = ("admin", row.admin_id) if row.admin_id is not None else ("mailbox", row.mailbox_id)
        # Not a session of the other site, whoever carried its cookie over.
        account = load(db, kind, number or 0) if kind == kind_here() else None
        g.web_session = row.id
        if account is None or (account.sessions_ended_at and row.created_at <= account.sessions_ended_at):
            return None
    return account if fits(account) else None


def identify() -> None:
    """Look up who asks, once a request."""
    if "account" not in g:
        g.account = account_of_session()
        g.admin = g.account if isinstance(g.account, Admin) else None


def end_session() -> None:
    """Forget this browser, here and in the table."""
    if g.get("account"):
        with database().transaction() as db:
            web_sessions.end(db, g.account, g.web_session)
    session.clear()


def require_login() -> Response | None:
    """A person without a session is sent to log in."""
    identify()
    if g.account is None:
        # A log-in whose second step is due stays as it is.
        session.pop("token", None)
        onward.forget()
        return redirect(url_for("auth.login"))
    return None


def require_permitted() -> Response | None:
    """A page behind the log-in, for whoever may do what it says that it does."""
    answer = require_login()
    if answer is not None:
        return answer
    refuse_what_is_not_permitted()
    return None


def refuse_what_is_not_permitted() -> None:
    """Abort with 403 what the role may not do, and with 404 what is not theirs: as if it were not there.

    Raises Conflict if a form means an earlier version of a thing.
    """
    try:
        things = check_permission(g.account)
    except NotPermitted:
        abort(403)
    except NotTheirs:
        abort(404)
    for thing in things:
        if not isinstance(thing, OF_PEOPLE):
            refuse_outdated("version", "", thing.version, seen_version("if_version"))


def protected(name: str, import_name: str, prefix: str | None = None) -> Blueprint:
    """A blueprint whose pages are for whoever is logged in and may do what each says that it does."""
    blueprint = Blueprint(name, import_name, url_prefix=prefix)
    blueprint.before_request(require_permitted)
    return blueprint
