"""Pages of admins."""

from __future__ import annotations

from flask import redirect, render_template, url_for
from werkzeug.wrappers import Response

from usermgmt.models import OWNER
from usermgmt.parts import database, parts
from usermgmt.permit import permits
from usermgmt.services import admins, domains, links, roles
from usermgmt.web.context import actor, seen_version, tell
from usermgmt.web.forms import Empty, Form, NewAdmin, NewPassword, Role, Switch
from usermgmt.web.links import shown
from usermgmt.web.sessions import protected

blueprint = protected("admins", __name__)
Page = str | Response | tuple[str, int]


def page(form: Form) -> tuple[str, int]:
    """The list with the form to add one."""
    with database().transaction() as db:
        rows, names = admins.list_admins(db), domains.names_of(db)
    return render_template("admins.html", rows=rows, form=form, domains=names), form.status


def done(text: str, email: str, password: str, generated: bool) -> Page:
    """After a new password: shown if it was made here."""
    if generated:
        return render_template("secrets_shown.html", secrets=[password], what="admin", name=email)
    tell(text, name=email)
    return redirect(url_for("admins.show"), 303)


@blueprint.get("/admins")
@permits("admin.manage")
def show() -> Page:
    """All admins."""
    return page(NewAdmin(formdata=None))


@blueprint.post("/admins")
@permits("admin.manage")
def add() -> Page:
    """Add an owner or an admin of some domains."""
    form = NewAdmin()
    password, generated = form.choose()
    with form.change() as db:
        admin = admins.add_admin(db, actor(), parts().hasher, form.email.data, password)
        db.flush()
        roles.set_role(db, actor(), admin, form.role.data or OWNER, form.domain.data)
        link = links.create_link(db, actor(), admin) if form.by_link else ""
    if form.problems:
        return page(form)
    text = "The admin {name} was added."
    return shown(admin, link) if link else done(text, admin.email, password, generated)


def one_page(
    admin_id: int,
    role: Form | None = None,
    password: NewPassword | None = None,
    removal: Form | None = None,
    switch: Form | None = None,
) -> tuple[str, int]:
    """An admin with what can be done."""
    with database().transaction() as db:
        admin = admins.get_admin(db, admin_id)
        names = domains.names_of(db)
    form, sent = Role.over({"role": admin.role, "domain": [each.name for each in admin.domains]}, role)
    forms = {
        "form": form,
        "password": password or NewPassword(formdata=None),
        "removal": removal or Empty(),
        "switch": switch or Empty(),
    }
    page = render_template("admin.html", admin=admin, domains=names, sent=sent, **forms)
    return page, max(each.status for each in forms.values())


@blueprint.get("/admins/<int:admin_id>")
@permits("admin.manage")
def show_one(admin_id: int) -> Page:
    """An admin with what can be done."""
    return one_page(admin_id)


@blueprint.post("/admins/<int:admin_id>/role")
@permits("admin.manage")
def change_role(admin_id: int) -> Page:
    """Make somebody an owner, or an admin of some domains."""
    form = Role()
    with form.change() as db:
        admin = admins.get_admin(db, admin_id)
        roles.set_role(db, actor(), admin, form.role.data, form.domain.data, seen_version())
    if form.problems:
        return one_page(admin_id, form)
    tell("What {name} may do was changed.", name=admin.email)
    return redirect(url_for("admins.show_one", admin_id=admin_id), 303)


@blueprint.post("/admins/<int:admin_id>/active")
@permits("admin.manage")
def switch(admin_id: int) -> Page:
    """Let an admin log in again, or stop that at once; the last owner stays."""
    form = Switch()
    with form.change() as db:
        admin = admins.get_admin(db, admin_id)
        roles.set_admin_active(db, actor(), admin, form.active.data)
    if form.problems:
        return one_page(admin_id, switch=form)
    text = "{name} is enabled." if form.active.data else "{name} is disabled."
    tell(text, name=admin.email)
    return redirect(url_for("admins.show_one", admin_id=admin_id), 303)


@blueprint.post("/admins/<int:admin_id>/password")
@permits("admin.manage")
def reset(admin_id: int) -> Page:
    """A new password for an admin who forgot it, or lost the second factor."""
    form = NewPassword()
    password, generated = form.choose()
    with form.change() as db:
        email = admins.get_admin(db, admin_id).email
        admin = admins.reset_admin(db, actor(), parts().hasher, email, password)
        link = links.create_link(db, actor(), admin) if form.by_link else ""
    if form.problems:
        return one_page(admin_id, password=form)
    text = "The password of {name} was changed."
    return shown(admin, link) if link else done(text, email, password, generated)


@blueprint.post("/admins/<int:admin_id>/delete")
@permits("admin.manage")
def delete(admin_id: int) -> Page:
    """Remove an admin; the last owner stays."""
    form = Empty()
    with form.change() as db:
        email = admins.remove_admin(db, actor(), admin_id)
    if form.problems:
        return one_page(admin_id, removal=form)
    tell("{name} is no longer an admin.", name=email)
    return redirect(url_for("admins.show"), 303)
