"""Pages of domains."""

from __future__ import annotations

from flask import redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from usermgmt.problems import Problem, Refused
from usermgmt.services import domains
from usermgmt.web.context import actor, database, permitted, tell
from usermgmt.web.sessions import protected

blueprint = protected("domains", __name__)
Page = str | Response | tuple[str, int]


def back_to_list() -> Response:
    """After a change."""
    return redirect(url_for("domains.show"), 303)


def page(problems: list[Problem], status: int = 200) -> tuple[str, int]:
    """The list with the form to add one."""
    with database().transaction() as db:
        rows = domains.list_domains(db, permitted())
    return render_template("domains.html", rows=rows, problems=problems, form=request.form), status


@blueprint.get("/domains")
def show() -> Page:
    """All domains."""
    return page([])


@blueprint.post("/domains")
def add() -> Page:
    """Add a domain."""
    try:
        with database().transaction() as db:
            domain = domains.add_domain(db, actor(), request.form.get("name", ""))
    except Refused as refusal:
        return page(refusal.problems, 422)
    tell("The domain {name} was added.", name=domain.name)
    return back_to_list()


@blueprint.post("/domains/<int:domain_id>/active")
def switch(domain_id: int) -> Response:
    """Enable or disable a domain."""
    active = request.form.get("active") == "yes"
    with database().transaction() as db:
        domain = domains.set_domain_active(db, actor(), domain_id, active)
    text = "The domain {name} is enabled." if active else "The domain {name} is disabled."
    tell(text, name=domain.name)
    return back_to_list()


def confirm(domain_id: int, problems: list[Problem], status: int = 200) -> tuple[str, int]:
    """The question before a domain is deleted."""
    with database().transaction() as db:
        domain = domains.get_domain(db, domain_id)
    return render_template("domain_delete.html", domain=domain, problems=problems), status


@blueprint.get("/domains/<int:domain_id>/delete")
def ask_delete(domain_id: int) -> Page:
    """Ask before deleting."""
    return confirm(domain_id, [])


@blueprint.post("/domains/<int:domain_id>/delete")
def delete(domain_id: int) -> Page:
    """Delete an empty domain."""
    try:
        with database().transaction() as db:
            name = domains.delete_domain(db, actor(), domain_id)
    except Refused as refusal:
        return confirm(domain_id, refusal.problems, 422)
    tell("The domain {name} was deleted.", name=name)
    return back_to_list()
