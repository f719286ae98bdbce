"""Who is logged in: a signed cookie that a log-out, a new password and time make worthless."""

from __future__ import annotations

import hashlib
import hmac
from datetime import datetime, timedelta

from flask import Blueprint, current_app, g, redirect, session, url_for
from flask_wtf.csrf import CSRFProtect, generate_csrf
from markupsafe import Markup
from werkzeug.wrappers import Response

from usermgmt.models import Admin, utc_now
from usermgmt.services.logins import Login, logged_out_since
from usermgmt.web.context import database

IDLE = timedelta(minutes=30)
LONGEST = timedelta(hours=10)

csrf = CSRFProtect()


def csrf_field() -> Markup:
    """The hidden input that proves a form came from one of our pages."""
    return Markup('<input type="hidden" name="csrf_token" value="{}">').format(generate_csrf())


def stamp(admin: Admin) -> str:
    """Changes with the password, and tells nothing about it without the session key."""
    key = str(current_app.secret_key).encode()
    return hmac.new(key, f"stamp:{admin.id}:{admin.password_hash}".encode(), hashlib.sha256).hexdigest()[:32]


def start_session(login: Login) -> None:
    """Begin again: nothing that was in the cookie before the log-in, its CSRF token included, goes on."""
    session.clear()
    session.permanent = True
    session["admin"] = login.admin.id
    session["stamp"] = stamp(login.admin)
    session["since"] = login.at.isoformat()


def admin_of_session() -> Admin | None:
    """The admin whose valid session this request carries."""
    number, since = session.get("admin"), session.get("since")
    if not isinstance(number, int) or not isinstance(since, str):
        return None
    started = datetime.fromisoformat(since)
    if utc_now() - started > LONGEST:
        return None
    with database().transaction() as db:
        admin = db.get(Admin, number)
        if admin is None or not admin.active or logged_out_since(db, admin.email, started):
            return None
    return admin if hmac.compare_digest(stamp(admin), str(session.get("stamp"))) else None


def require_login() -> Response | None:
    """Before every request of a protected blueprint: a person without a session is sent to log in."""
    g.admin = admin_of_session()
    if g.admin is None:
        session.clear()
        return redirect(url_for("auth.login"))
    return None


def protected(name: str, import_name: str) -> Blueprint:
    """A blueprint whose pages all need a log-in."""
    blueprint = Blueprint(name, import_name)
    blueprint.before_request(require_login)
    return blueprint
