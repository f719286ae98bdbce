"""One's own calendars and address books, and the log-in of phones that reach them (CalDAV, CardDAV)."""

from __future__ import annotations

from flask import Blueprint, Response, abort, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from usermgmt.mail.doveadm import Unreachable
from usermgmt.mail.radicale import Collection, Radicale
from usermgmt.parts import client_address, database, parts
from usermgmt.permit import permits
from usermgmt.problems import Problem, Refused
from usermgmt.services import calendars
from usermgmt.web.account import mailbox
from usermgmt.web.context import actor, tell
from usermgmt.web.errors import log
from usermgmt.web.forms import Empty
from usermgmt.web.proxy import through_nginx
from usermgmt.web.sessions import protected
from usermgmt.web.sites import site

blueprint = protected("calendars", __name__, "/account/calendars")
#: What nginx asks before it lets a phone on to Radicale.
phones = Blueprint("phones", __name__)
Page = str | AnyResponse | tuple[str, int]


def server() -> Radicale:
    """Radicale; there is no such page where the server was made without."""
    if not parts().settings.dav_host:
        abort(404)
    return Radicale(parts().settings.dav_host)


def page(problems: list[Problem], status: int = 200) -> tuple[str, int]:
    """The list, the form for one more, and what to enter in a phone."""
    rows: list[Collection] | None = None
    try:
        rows = server().collections(calendars.person(mailbox()))
    except Unreachable as error:
        log.error("calendars cannot be shown: %s", error)
        status = 503
    shown = render_template(
        "calendars.html", rows=rows, problems=problems, form=request.form, address=site().origin
    )
    return shown, status


def away(error: Unreachable) -> Page:
    """Nothing was changed."""
    log.error("calendars cannot be changed: %s", error)
    wrong, instead = "The calendars do not answer now.", "Try again in a minute."
    return page([Problem("", "", wrong, instead)], 503)


@blueprint.get("")
@permits("account.own-mail")
def show() -> Page:
    """Everything that one has."""
    return page([])


@blueprint.post("")
@permits("account.own-mail")
def add() -> Page:
    """A calendar or an address book."""
    entered = (request.form.get("kind", ""), request.form.get("name", ""))
    try:
        with database().transaction() as db:
            name = calendars.add(db, actor(), server(), mailbox(), *entered)
    except Refused as refusal:
        return page(refusal.problems, 422)
    except Unreachable as error:
        return away(error)
    tell("{name} was added.", name=name)
    return redirect(url_for("calendars.show"), 303)


@blueprint.route("/<key>/delete", methods=["GET", "POST"])
@permits("account.own-mail")
def delete(key: str) -> Page:
    """Ask, and then delete one with all that is in it."""
    try:
        if request.method == "GET":
            found = {each.key: each for each in server().collections(calendars.person(mailbox()))}
            if key not in found:
                abort(404)
            return render_template("calendar_delete.html", one=found[key], form=Empty(formdata=None))
        with database().transaction() as db:
            name = calendars.remove(db, actor(), server(), mailbox(), key)
    except Unreachable as error:
        return away(error)
    tell("{name} was deleted.", name=name)
    return redirect(url_for("calendars.show"), 303)


@phones.get("/dav-log-in")
def decide() -> Response:
    """Say who shows an app password, or ask for one; nobody but nginx comes here."""
    server()
    if not through_nginx():
        abort(404)
    shown = request.authorization
    if shown is not None and shown.type == "basic" and shown.username and shown.password:
        entered = (shown.username, shown.password, client_address())
        found = calendars.log_in(database(), parts().settings.session_key, *entered)
        if found is not None:
            return Response(status=204, headers={"X-Person": found})
    ask = 'Basic realm="Calendars and contacts: your address and an app password", charset="UTF-8"'
    return Response(status=401, headers={"WWW-Authenticate": ask})
