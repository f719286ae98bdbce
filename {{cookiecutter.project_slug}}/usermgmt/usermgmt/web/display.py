"""The language and the time zone that pages are shown in: anybody's choice, kept in the browser."""

from __future__ import annotations

from flask import Blueprint, current_app, redirect, render_template, request, url_for
from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Response

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
    response = redirect(own_page(request.form.get("next", "")), 303)
    for name, known in (("language", LANGUAGES), ("timezone", ZONES)):
        if request.form.get(name) in known:
            remember(response, name, request.form[name])
    return response
