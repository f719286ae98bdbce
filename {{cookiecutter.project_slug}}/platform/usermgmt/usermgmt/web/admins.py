"""Pages of admins."""

from __future__ import annotations

from flask import redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from usermgmt.models import OWNER
from usermgmt.parts import database, parts
from usermgmt.permit import permits
from usermgmt.problems import Problem, Refused
from usermgmt.services import admins, domains, links, roles
from usermgmt.web.context import actor, answer_to, form_values, seen_version, tell
from usermgmt.web.links import shown, wanted
from usermgmt.web.mailboxes import chosen_password
from usermgmt.web.sessions import protected

blueprint = protected("admins", __name__)
Page = str | Response | tuple[str, int]


def page(problems: list[Problem], status: int = 200) -> tuple[str, int]:
    """The list with the form to add one."""
    with database().transaction() as db:
        rows = admins.list_admins(db)
        names = [row.domain.name for row in domains.list_domains(db)]
    chosen = request.form.getlist("domain")
    shown = render_template(
        "admins.html", rows=rows, problems=problems, form=request.form, domains=names, chosen=chosen
    )
    return shown, status


def made(email: str, password: str, generated: bool) -> Page:
    """After a new password: shown if it was made here."""
    if generated:
        return render_template("secrets_shown.html", secrets=[password], what="admin", name=email)
    tell("The password of {name} was changed.", name=email)
    return redirect(url_for("admins.show"), 303)


@blueprint.get("/admins")
@permits("admin.manage")
def show() -> Page:
    """All admins."""
    return page([])


@blueprint.post("/admins")
@permits("admin.manage")
def add() -> Page:
    """Add an owner or an admin of some domains."""
    password, generated = chosen_password()
    role, names = request.form.get("role", OWNER), request.form.getlist("domain")
    try:
        with database().transaction() as db:
            admin = admins.add_admin(db, actor(), parts().hasher, request.form.get("email", ""), password)
            db.flush()
            roles.set_role(db, actor(), admin, role, names)
            link = links.create_link(db, actor(), admin) if wanted() else ""
    except Refused as refusal:
        return page(refusal.problems, 422)
    return shown(admin, link) if link else made(admin.email, password, generated)


def one_page(admin_id: int, refusal: Refused | None = None) -> tuple[str, int]:
    """An admin with what can be done."""
    with database().transaction() as db:
        admin = admins.get_admin(db, admin_id)
        names = [row.domain.name for row in domains.list_domains(db)]
    keeps = form_values({}, refusal)
    page = render_template(
        "admin.html",
        admin=admin,
        domains=names,
        role=keeps.get("role", admin.role),
        chosen=request.form.getlist("domain") if "role" in keeps else [each.name for each in admin.domains],
        problems=refusal.problems if refusal else [],
        form=request.form,
    )
    return page, answer_to(refusal)


@blueprint.get("/admins/<int:admin_id>")
@permits("admin.manage")
def show_one(admin_id: int) -> Page:
    """An admin with what can be done."""
    return one_page(admin_id)


@blueprint.post("/admins/<int:admin_id>/role")
@permits("admin.manage")
def change_role(admin_id: int) -> Page:
    """Make somebody an owner, or an admin of some domains."""
    try:
        with database().transaction() as db:
            admin = admins.get_admin(db, admin_id)
            role, names = request.form.get("role", ""), request.form.getlist("domain")
            roles.set_role(db, actor(), admin, role, names, seen_version())
    except Refused as refusal:
        return one_page(admin_id, refusal)
    tell("What {name} may do was changed.", name=admin.email)
    return redirect(url_for("admins.show_one", admin_id=admin_id), 303)


@blueprint.post("/admins/<int:admin_id>/password")
@permits("admin.manage")
def reset(admin_id: int) -> Page:
    """A new password for an admin who forgot it, or lost the second factor."""
    password, generated = chosen_password()
    try:
        with database().transaction() as db:
            email = admins.get_admin(db, admin_id).email
            admin = admins.reset_admin(db, actor(), parts().hasher, email, password)
            link = links.create_link(db, actor(), admin) if wanted() else ""
    except Refused as refusal:
        return one_page(admin_id, refusal)
    return shown(admin, link) if link else made(email, password, generated)


@blueprint.post("/admins/<int:admin_id>/delete")
@permits("admin.manage")
def delete(admin_id: int) -> Page:
    """Remove an admin; the last owner stays."""
    try:
        with database().transaction() as db:
            email = admins.remove_admin(db, actor(), admin_id)
    except Refused as refusal:
        return one_page(admin_id, refusal)
    tell("{name} is no longer an admin.", name=email)
    return redirect(url_for("admins.show"), 303)
