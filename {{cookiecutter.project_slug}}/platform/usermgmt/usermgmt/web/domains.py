"""Pages of domains."""

from __future__ import annotations

from flask import redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from usermgmt.parts import database, parts
from usermgmt.permit import permits
from usermgmt.problems import Problem, Refused
from usermgmt.quota import DEFAULT, format_quota
from usermgmt.services import aliases, domains
from usermgmt.services.directory import destinations_of
from usermgmt.services.dns import status_of
from usermgmt.services.mailboxes import PAGE
from usermgmt.web.context import actor, answer_to, form_values, page_number, permitted, seen_version, tell
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
    number = page_number()
    shown = render_template(
        "domains.html",
        rows=rows[(number - 1) * PAGE : number * PAGE],
        problems=problems,
        form=request.form,
        page=number,
        pages=max(1, -(-len(rows) // PAGE)),
    )
    return shown, status


@blueprint.get("/domains")
@permits("domain.list")
def show() -> Page:
    """All domains."""
    return page([])


@blueprint.post("/domains")
@permits("domain.add")
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
@permits("domain.switch")
def switch(domain_id: int) -> Response:
    """Enable or disable a domain."""
    active = request.form.get("active") == "yes"
    with database().transaction() as db:
        domain = domains.set_domain_active(db, actor(), domain_id, active)
    text = "The domain {name} is enabled." if active else "The domain {name} is disabled."
    tell(text, name=domain.name)
    return back_to_list()


def one_page(domain_id: int, refusal: Refused | None = None) -> tuple[str, int]:
    """A domain with all that can be changed, and its DNS records."""
    with database().transaction() as db:
        domain = domains.get_domain(db, domain_id)
        destinations = destinations_of(db, "@" + domain.name)
        dns = status_of(db, domain, parts().settings.edge_file)
    limits = {"most_mailboxes": domain.most_mailboxes, "most_aliases": domain.most_aliases}
    now = {name: "" if limit is None else str(limit) for name, limit in limits.items()}
    now["default_quota"] = format_quota(domain.default_quota_bytes) if domain.default_quota_bytes else ""
    now["destinations"] = "\n".join(destinations)
    page = render_template(
        "domain.html",
        domain=domain,
        destinations=destinations,
        dns=dns,
        form=form_values(now, refusal),
        problems=refusal.problems if refusal else [],
        usual_quota=DEFAULT,
    )
    return page, answer_to(refusal)


@blueprint.get("/domains/<int:domain_id>")
@permits("domain.list")
def show_one(domain_id: int) -> Page:
    """A domain with all that can be changed."""
    return one_page(domain_id)


@blueprint.post("/domains/<int:domain_id>")
@permits("domain.change")
def change(domain_id: int) -> Page:
    """Change limits and the default quota."""
    quota, mailboxes, most_aliases = (
        request.form.get(name, "") for name in ("default_quota", "most_mailboxes", "most_aliases")
    )
    try:
        with database().transaction() as db:
            domain = domains.change_domain(
                db, actor(), domain_id, quota, mailboxes, most_aliases, seen_version()
            )
    except Refused as refusal:
        return one_page(domain_id, refusal)
    tell("The domain {name} was changed.", name=domain.name)
    return redirect(url_for("domains.show_one", domain_id=domain_id), 303)


@blueprint.post("/domains/<int:domain_id>/catch-all")
@permits("alias.add")
def set_catch_all(domain_id: int) -> Page:
    """Say who gets what nothing else of the domain takes."""
    destinations, seen = request.form.get("destinations", ""), request.form.get("seen", "")
    try:
        with database().transaction() as db:
            domain = domains.get_domain(db, domain_id)
            aliases.set_catch_all(db, actor(), domain, destinations, seen)
    except Refused as refusal:
        return one_page(domain_id, refusal)
    tell("The catch-all of {name} was changed.", name=domain.name)
    return redirect(url_for("domains.show_one", domain_id=domain_id), 303)


def confirm(domain_id: int, problems: list[Problem], status: int = 200) -> tuple[str, int]:
    """The question before a domain is deleted."""
    with database().transaction() as db:
        domain = domains.get_domain(db, domain_id)
    return render_template("domain_delete.html", domain=domain, problems=problems), status


@blueprint.get("/domains/<int:domain_id>/delete")
@permits("domain.delete")
def ask_delete(domain_id: int) -> Page:
    """Ask before deleting."""
    return confirm(domain_id, [])


@blueprint.post("/domains/<int:domain_id>/delete")
@permits("domain.delete")
def delete(domain_id: int) -> Page:
    """Delete an empty domain."""
    try:
        with database().transaction() as db:
            name = domains.delete_domain(db, actor(), domain_id)
    except Refused as refusal:
        return confirm(domain_id, refusal.problems, 422)
    tell("The domain {name} was deleted.", name=name)
    return back_to_list()
