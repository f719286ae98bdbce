"""The page of API tokens."""

from __future__ import annotations

from flask import redirect, render_template, url_for
from werkzeug.wrappers import Response

from usermgmt.models import Admin
from usermgmt.parts import database
from usermgmt.permissions import SCOPES
from usermgmt.permit import permits
from usermgmt.services import domains, tokens
from usermgmt.web.context import actor, current_account, tell
from usermgmt.web.forms import Form, NewToken
from usermgmt.web.sessions import protected

blueprint = protected("tokens", __name__)
Page = str | Response | tuple[str, int]
#: What the form offers: a token without an end is forgotten.
DAYS = "365"


def page(form: Form) -> tuple[str, int]:
    """The list with the form to make one."""
    with database().transaction() as db:
        rows, names = tokens.list_tokens(db), domains.names_of(db)
    return render_template("tokens.html", rows=rows, domains=names, scopes=SCOPES, form=form), form.status


@blueprint.get("/tokens")
@permits("token.manage")
def show() -> Page:
    """All tokens."""
    return page(NewToken(formdata=None, data={"days": DAYS}))


@blueprint.post("/tokens")
@permits("token.manage")
def add() -> Page:
    """Make a token of one's own; it is on the answer and nowhere else."""
    form = NewToken()
    with form.change() as db:
        me = db.get_one(Admin, current_account().id)
        entered = (form.name.data, form.scopes.data, form.domain.data, form.days.data)
        made = tokens.add_token(db, actor(), me, *entered)
    if form.problems:
        return page(form)
    return render_template("secrets_shown.html", secrets=[made], what="token", name=form.name.data), 201


@blueprint.post("/tokens/<int:token_id>/delete")
@permits("token.manage")
def revoke(token_id: int) -> Response:
    """End a token."""
    with database().transaction() as db:
        name = tokens.revoke_token(db, actor(), token_id)
    tell("The token {name} was revoked.", name=name)
    return redirect(url_for("tokens.show"), 303)
