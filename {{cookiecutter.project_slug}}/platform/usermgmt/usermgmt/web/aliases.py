"""Pages of aliases."""

from __future__ import annotations

from flask import redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from usermgmt.parts import database
from usermgmt.permit import permits
from usermgmt.services import aliases, domains, outside
from usermgmt.web.context import actor, permitted, tell
from usermgmt.web.forms import Empty, Form, NewAlias, Switch
from usermgmt.web.listing import asked
from usermgmt.web.mail_rules import STATE_WORDS
from usermgmt.web.sessions import protected

blueprint = protected("aliases", __name__)
#: Aliases on a page and destinations of each there, so that it stays small whatever is in them.
ON_PAGE, DESTINATIONS = 20, 3
STATES = {"enabled": "Enabled", "disabled": "Disabled", "catch-all": "Catch-all"}
ORDERS = {"address": "Address", "destinations": "Number of destinations"}
Page = str | Response | tuple[str, int]


def back_to_list() -> Response:
    """After a change."""
    return redirect(url_for("aliases.show"), 303)


@blueprint.get("/aliases")
@permits("alias.list")
def show() -> str:
    """A page of the list; with `source`, that alias alone with all its destinations."""
    listing, only = asked("aliases.show", STATES, ORDERS), request.args.get("source", "")[:320]
    with database().transaction() as db:
        rows, total = aliases.list_aliases(
            db,
            listing.search,
            listing.page,
            permitted(),
            ON_PAGE,
            only,
            domain=listing.domain,
            state=listing.state,
            order=listing.order,
        )
        senders = aliases.mailboxes_among(db, rows)
        states = outside.states_among(db, rows)
    return render_template(
        "aliases.html",
        rows=rows,
        senders=senders,
        states=states,
        words=STATE_WORDS,
        listing=listing,
        only=only,
        pages=max(1, -(-total // ON_PAGE)),
        shown=aliases.MOST_DESTINATIONS if only else DESTINATIONS,
    )


def new_page(form: Form) -> tuple[str, int]:
    """The form for a new alias or more destinations."""
    with database().transaction() as db:
        names = domains.names_of(db, permitted())
    return render_template("alias_new.html", form=form, domains=names), form.status


@blueprint.get("/aliases/new")
@permits("alias.add")
def new() -> Page:
    """The form for a new alias."""
    source = request.args.get("source", "")[:320]
    return new_page(NewAlias(formdata=None, data={"source": source, "may_send": True}))


@blueprint.post("/aliases")
@permits("alias.add")
def add() -> Page:
    """Add one or more destinations to an alias."""
    form = NewAlias()
    with form.change() as db:
        entered = (form.source.data, form.destinations.data)
        rows = aliases.add_alias(db, actor(), *entered, may_send=form.may_send.data)
    if form.problems:
        return new_page(form)
    tell("The alias {name} was saved.", name=rows[0].source)
    return back_to_list()


@blueprint.post("/aliases/<int:alias_id>/active")
@permits("alias.switch")
def switch(alias_id: int) -> Response:
    """Enable or disable one destination."""
    active = Switch().active.data
    with database().transaction() as db:
        alias = aliases.set_alias_active(db, actor(), alias_id, active)
    text = "{name} to {destination} is enabled." if active else "{name} to {destination} is disabled."
    tell(text, name=alias.source, destination=alias.destination)
    return back_to_list()


@blueprint.post("/aliases/<int:alias_id>/may-send")
@permits("alias.switch")
def switch_sending(alias_id: int) -> Response:
    """Let one destination send as the alias, or not."""
    may_send = Switch().active.data
    with database().transaction() as db:
        alias = aliases.set_alias_may_send(db, actor(), alias_id, may_send)
    text = "{destination} may send as {name}." if may_send else "{destination} may not send as {name}."
    tell(text, name=alias.source, destination=alias.destination)
    return back_to_list()


def confirm(alias_id: int, form: Form) -> tuple[str, int]:
    """The question before a destination is deleted."""
    with database().transaction() as db:
        alias = aliases.get_alias(db, alias_id)
    return render_template("alias_delete.html", alias=alias, form=form), form.status


@blueprint.get("/aliases/<int:alias_id>/delete")
@permits("alias.delete")
def ask_delete(alias_id: int) -> Page:
    """Ask before deleting."""
    return confirm(alias_id, Empty())


@blueprint.post("/aliases/<int:alias_id>/delete")
@permits("alias.delete")
def delete(alias_id: int) -> Page:
    """Delete one destination."""
    form = Empty()
    with form.change() as db:
        alias = aliases.delete_alias(db, actor(), alias_id)
    if form.problems:
        return confirm(alias_id, form)
    tell("{name} to {destination} was deleted.", name=alias.source, destination=alias.destination)
    return back_to_list()
