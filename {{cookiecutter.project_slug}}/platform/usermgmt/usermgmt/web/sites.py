"""Two sites with an origin each: one where people look after their account, one where admins administer.

Everybody reaches the first, `account_host`; Cloudflare Access guards the second, `admin_host`. So a mailbox
logs in to the first and an admin to the second, and neither serves a page, a session or a link of the other.
"""

from __future__ import annotations

from flask import Flask, abort, redirect, request, url_for
from werkzeug.wrappers import Response

from usermgmt.parts import parts
from usermgmt.services.passkeys import Site

ADMIN, MAILBOX = "admin", "mailbox"
#: The name by which other containers come, and what is for them alone; nginx passes that name on from nobody.
INSIDE, FOR_CONTAINERS = "usermgmt", ("oidc.token", "mail_logins.decide", "contacts.show")
#: What people need. A blueprint that is added later is administration until it is named here.
PEOPLE = frozenset(
    {
        "oidc",
        "auth",
        "identity",
        "links",
        "phone",
        "programs",
        "account",
        "security",
        "mail_rules",
        "mail",
        "senders",
        "display",
        "calendars",
        "phones",
    }
)


def kind_here() -> str:
    """The kind of account that this request's host is for."""
    return MAILBOX if request.host.partition(":")[0] == parts().settings.account_host else ADMIN


def site(kind: str = "") -> Site:
    """Where that kind of account is at home, by default this host; reached as this request was."""
    settings, port = parts().settings, request.host.partition(":")[2]
    host = settings.account_host if (kind or kind_here()) == MAILBOX else settings.admin_host
    return Site(host, f"{request.scheme}://{host}{port and f':{port}'}", host)


def refuse_pages_of_the_other_site() -> Response | None:
    """Abort with 404 what only the administration serves; its first page becomes the account's."""
    if (request.host.partition(":")[0] == INSIDE) != (request.endpoint in FOR_CONTAINERS):
        abort(404)
    if kind_here() == ADMIN or request.endpoint in (None, "static"):
        return None
    if request.endpoint == "overview.show":
        return redirect(url_for("account.show"))
    if request.blueprint not in PEOPLE:
        abort(404)
    return None


def init_app(app: Flask) -> None:
    """Tell the sites apart, and templates where the other one is."""
    app.before_request(refuse_pages_of_the_other_site)
    app.jinja_env.globals.update(kind_here=kind_here, site=site)
