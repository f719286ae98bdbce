"""The web application."""

from __future__ import annotations

import logging
from datetime import timedelta

from flask import Flask, has_request_context, request
from sqlalchemy.exc import DBAPIError

from usermgmt.addresses import readable_domain
from usermgmt.api import access
from usermgmt.api import start as api
from usermgmt.canaries import hide_canaries
from usermgmt.database import Database
from usermgmt.mail.sessions import end_sessions
from usermgmt.mail.usage import Usage
from usermgmt.parts import EXTENSION, Parts
from usermgmt.passwords import Hasher
from usermgmt.permissions import may
from usermgmt.permit import action_of
from usermgmt.problems import Refused
from usermgmt.quota import format_quota, format_size
from usermgmt.services.admins import create_first_admin
from usermgmt.services.mail_rules import follow_aliases
from usermgmt.services.table import LARGEST as LARGEST_FILE
from usermgmt.services.web_sessions import LONGEST
from usermgmt.settings import Settings
from usermgmt.web import (
    account,
    admins,
    aliases,
    audit,
    auth,
    calendars,
    contacts,
    display,
    domains,
    errors,
    headers,
    health,
    i18n,
    identity,
    links,
    mail,
    mail_logins,
    mail_rules,
    mailbox_selection,
    mailboxes,
    oidc,
    oidc_server,
    overview,
    phone,
    problem_types,
    programs,
    reports,
    security,
    senders,
    sites,
    tokens,
    transfer,
    words,
)
from usermgmt.web.proxy import OnlyNginx
from usermgmt.web.sessions import SessionOfPages, csrf, csrf_field

log = logging.getLogger("usermgmt")
LARGEST_REQUEST = 64 * 1024
#: The name that the container's own health check uses; nginx never passes it on to here.
HEALTH_CHECK = "127.0.0.1"


def create_app(settings: Settings) -> Flask:
    """Build the application. A database that is not there yet is no error: pages answer 503 until it is."""
    app = Flask("usermgmt.web")
    app.config.update(
        SECRET_KEY=settings.session_key,
        # With the prefix, browsers take this cookie only from this very host: no other one of the domain,
        # the webmail included, can plant a session here. Plain http has no such cookies.
        SESSION_COOKIE_NAME="__Host-usermgmt" if settings.cookie_secure else "usermgmt",
        SESSION_COOKIE_SECURE=settings.cookie_secure,
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_PATH="/",
        # Not Strict: whoever arrives from Cloudflare Access or by a link would seem logged out. Nothing is
        # changed by a GET, and every form has a CSRF token.
        SESSION_COOKIE_SAMESITE="Lax",
        TRUSTED_HOSTS=[settings.account_host, settings.admin_host, sites.INSIDE, HEALTH_CHECK],
        PERMANENT_SESSION_LIFETIME=LONGEST,
        MAX_CONTENT_LENGTH=LARGEST_REQUEST,
        WTF_CSRF_TIME_LIMIT=None,
        SEND_FILE_MAX_AGE_DEFAULT=timedelta(hours=1),
    )
    app.session_interface = SessionOfPages()
    parts = Parts(
        settings,
        Database(settings.database_url),
        Hasher(settings.cheap_hashes),
        Usage(settings.doveadm),
    )
    end_sessions(parts.database.sessions, settings.doveadm)
    follow_aliases(parts.database.sessions)
    hide_canaries(parts.database.sessions)
    app.extensions[EXTENSION] = parts
    app.jinja_options = {"trim_blocks": True, "lstrip_blocks": True}
    sites.init_app(app)
    # Before the CSRF check, which reads the form.
    app.before_request(allow_files)
    csrf.init_app(app)
    app.jinja_env.globals["csrf"] = csrf_field
    app.jinja_env.filters.update(size=format_size, quota=format_quota)
    app.jinja_env.globals.update(may=may, action_of=action_of, with_calendars=bool(settings.dav_host))
    app.jinja_env.filters["readable"] = readable_domain
    for module in (
        health,
        auth,
        oidc,
        identity,
        links,
        account,
        security,
        phone,
        programs,
        mail_rules,
        display,
        overview,
        domains,
        mailboxes,
        mailbox_selection,
        aliases,
        admins,
        audit,
        tokens,
        transfer,
        mail,
        problem_types,
        reports,
        senders,
        calendars,
        contacts,
    ):
        app.register_blueprint(module.blueprint)
    app.register_blueprint(mail.reports)
    app.register_blueprint(calendars.phones)
    app.register_blueprint(mail_logins.blueprint)
    for module in (
        api,
        i18n,
        headers,
        errors,
        words,
        mail,
        mail_logins,
        identity,
        oidc_server,
        programs,
        contacts,
    ):
        module.init_app(app)
    # No cookie counts in the API, so no other site can use one: there is nothing to protect.
    csrf.exempt(access.blueprint)
    prepare_first_admin(app, parts)
    # Flask's own way to wrap an application is to replace this method.
    app.wsgi_app = OnlyNginx(app.wsgi_app, settings.proxy_host)  # type: ignore[method-assign]
    return app


def allow_files() -> None:
    """Let only the import take a file."""
    if request.endpoint in ("transfer.send", "api.import_table"):
        request.max_content_length = LARGEST_FILE


def prepare_first_admin(app: Flask, parts: Parts) -> None:
    """Create the first admin now or, without a database yet, with the first request that finds it."""
    waiting = [parts.settings] if parts.settings.admin_email else []
    reasons: set[str] = set()

    def try_once() -> None:
        # /health must answer at once, also while the database keeps connections waiting.
        if not waiting or (has_request_context() and request.endpoint == "health.health"):
            return
        try:
            create_first_admin(
                parts.database, parts.hasher, parts.settings.admin_email, parts.settings.admin_password
            )
        except DBAPIError as error:
            # Each reason once: health checks come here every few seconds.
            if (reason := str(error.orig)) not in reasons:
                log.warning("the database is not there yet; the first admin waits for it: %s", reason)
                reasons.add(reason)
            return
        except Refused as refusal:
            log.error("ADMIN_EMAIL or ADMIN_PASSWORD_FILE cannot make the first admin: %s", refusal)
        waiting.clear()

    try_once()
    app.before_request(try_once)
