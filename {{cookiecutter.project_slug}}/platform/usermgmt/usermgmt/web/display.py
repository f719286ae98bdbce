"""The language and the time zone of pages: kept in the account, and in the browser for the log-in page."""

from __future__ import annotations

from flask import Blueprint, current_app, g, redirect, render_template, url_for
from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Response

from usermgmt.parts import database
from usermgmt.services.accounts import keep_choices
from usermgmt.web.forms import Display
from usermgmt.web.i18n import LANGUAGES, ZONES, remember
from usermgmt.web.sessions import identify

blueprint = Blueprint("display", __name__)


def own_page(path: str) -> str:
    """The path if it is that of a page of ours, else the first page: a form must not lead elsewhere."""
    try:
        current_app.url_map.bind("").match(path, method="GET")
    except HTTPException:
        return url_for("overview.show")
    return path


@blueprint.get("/display")
def show() -> str:
    """The form."""
    identify()
    return render_template("display.html", zones=ZONES)


@blueprint.post("/display")
def choose() -> Response:
    """Keep what was chosen; anything else is ignored."""
    entered = Display().entered()
    response = redirect(own_page(entered["next"]), 303)
    known = {"language": LANGUAGES, "timezone": ZONES}
    chosen = {name: entered[name] for name in known if entered[name] in known[name]}
    for name, choice in chosen.items():
        remember(response, name, choice)
    identify()
    if g.account and chosen:
        with database().transaction() as db:
            keep_choices(db, g.account, chosen)
    return response
