"""Pages of domains."""

from __future__ import annotations

from flask import redirect, render_template, url_for
from werkzeug.wrappers import Response

from usermgmt.models import Domain
from usermgmt.parts import database, parts
from usermgmt.permit import permits
from usermgmt.quota import DEFAULT, format_quota
from usermgmt.services import aliases, domains
from usermgmt.services.directory import destinations_of
from usermgmt.services.dns import status_of
from usermgmt.services.mailboxes import PAGE
from usermgmt.services.storage import given_by_domain, used_in
from usermgmt.web.context import actor, permitted, seen_version, tell
from usermgmt.web.forms import CatchAll, Empty, Form, Limits, NewDomain, Switch
from usermgmt.web.listing import asked
from usermgmt.web.sessions import protected

blueprint = protected("domains", __name__)
Page = str | Response | tuple[str, int]
STATES = {"enabled": "Enabled", "disabled": "Disabled", "dns": "With wrong DNS records"}
ORDERS = {
    "name": "Domain",
    "mailboxes": "Mailboxes",
    "aliases": "Aliases",
    "given": "Storage given",
    "state": "State",
}


def back_to_list() -> Response:
    """After a change."""
    return redirect(url_for("domains.show"), 303)


def fits(row: domains.DomainRow, search: str, state: str) -> bool:
    """Whether a row is of the part of the list that is asked for."""
    states = {"enabled": row.domain.active, "disabled": not row.domain.active, "dns": row.wrong_records > 0}
    return search.strip().lower() in row.domain.name and states.get(state, True)


def page(form: Form | None = None) -> tuple[str, int]:
    """The list with the form to add one."""
    listing = asked("domains.show", STATES, ORDERS)
    with database().transaction() as db:
        rows = [
            row for row in domains.list_domains(db, permitted()) if fits(row, listing.search, listing.state)
        ]
    keys = {
        "mailboxes": lambda row: row.mailboxes,
        "aliases": lambda row: row.aliases,
        "given": lambda row: row.given,
        "state": lambda row: row.domain.active,
    }
    order = listing.order.removeprefix("-")
    rows.sort(key=keys.get(order, lambda row: row.domain.name), reverse=listing.order.startswith("-"))
    form = form or NewDomain(formdata=None)
    shown = render_template(
        "domains.html",
        rows=rows[(listing.page - 1) * PAGE : listing.page * PAGE],
        listing=listing,
        form=form,
        pages=max(1, -(-len(rows) // PAGE)),
    )
    return shown, form.status


@blueprint.get("/domains")
@permits("domain.list")
def show() -> Page:
    """All domains."""
    return page()


@blueprint.post("/domains")
@permits("domain.add")
def add() -> Page:
    """Add a domain."""
    form = NewDomain()
    with form.change() as db:
        domain = domains.add_domain(db, actor(), form.name.data)
    if form.problems:
        return page(form)
    tell("The domain {name} was added.", name=domain.name)
    return back_to_list()


@blueprint.post("/domains/<int:domain_id>/active")
@permits("domain.switch")
def switch(domain_id: int) -> Response:
    """Enable or disable a domain."""
    active = Switch().active.data
    with database().transaction() as db:
        domain = domains.set_domain_active(db, actor(), domain_id, active)
    text = "The domain {name} is enabled." if active else "The domain {name} is disabled."
    tell(text, name=domain.name)
    return back_to_list()


def limits_of(domain: Domain) -> dict[str, str]:
    """The limits as the fields of their form."""
    stored = {field: getattr(domain, column) for field, (column, _) in domains.LIMITS.items()}
    sizes = {"default_quota", "largest_quota", "storage"}
    return {
        field: "" if limit is None else format_quota(limit) if field in sizes else str(limit)
        for field, limit in stored.items()
    }


def one_page(domain_id: int, limits: Form | None = None, catch_all: Form | None = None) -> tuple[str, int]:
    """A domain with all that can be changed, and its DNS records."""
    with database().transaction() as db:
        domain = domains.get_domain(db, domain_id)
        destinations = destinations_of(db, "@" + domain.name)
        dns = status_of(db, domain, parts().settings.edge_file)
        given, used = given_by_domain(db, domain_id)[domain_id], used_in(db, domain_id)
    form, sent_limits = Limits.over(limits_of(domain), limits)
    catch, sent_catch_all = CatchAll.over({"destinations": "\n".join(destinations)}, catch_all)
    page = render_template(
        "domain.html",
        domain=domain,
        destinations=destinations,
        dns=dns,
        form=form,
        catch_all=catch,
        sent_limits=sent_limits,
        sent_catch_all=sent_catch_all,
        usual_quota=DEFAULT,
        given=given,
        used=used,
    )
    return page, max(form.status, catch.status)


@blueprint.get("/domains/<int:domain_id>")
@permits("domain.list")
def show_one(domain_id: int) -> Page:
    """A domain with all that can be changed."""
    return one_page(domain_id)


@blueprint.post("/domains/<int:domain_id>")
@permits("domain.change")
def change(domain_id: int) -> Page:
    """Change limits and the default quota."""
    form = Limits()
    with form.change() as db:
        domain = domains.change_domain(db, actor(), domain_id, form.entered(), seen_version())
    if form.problems:
        return one_page(domain_id, form)
    tell("The domain {name} was changed.", name=domain.name)
    return redirect(url_for("domains.show_one", domain_id=domain_id), 303)


@blueprint.post("/domains/<int:domain_id>/catch-all")
@permits("alias.add")
def set_catch_all(domain_id: int) -> Page:
    """Say who gets what nothing else of the domain takes."""
    form = CatchAll()
    with form.change() as db:
        domain = domains.get_domain(db, domain_id)
        aliases.set_catch_all(db, actor(), domain, form.destinations.data, form.seen.data)
    if form.problems:
        return one_page(domain_id, catch_all=form)
    tell("The catch-all of {name} was changed.", name=domain.name)
    return redirect(url_for("domains.show_one", domain_id=domain_id), 303)


def confirm(domain_id: int, form: Form) -> tuple[str, int]:
    """The question before a domain is deleted."""
    with database().transaction() as db:
        domain = domains.get_domain(db, domain_id)
    return render_template("domain_delete.html", domain=domain, form=form), form.status


@blueprint.get("/domains/<int:domain_id>/delete")
@permits("domain.delete")
def ask_delete(domain_id: int) -> Page:
    """Ask before deleting."""
    return confirm(domain_id, Empty())


@blueprint.post("/domains/<int:domain_id>/delete")
@permits("domain.delete")
def delete(domain_id: int) -> Page:
    """Delete an empty domain."""
    form = Empty()
    with form.change() as db:
        name = domains.delete_domain(db, actor(), domain_id)
    if form.problems:
        return confirm(domain_id, form)
    tell("The domain {name} was deleted.", name=name)
    return back_to_list()
