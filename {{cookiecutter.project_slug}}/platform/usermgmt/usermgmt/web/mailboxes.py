"""Pages of mailboxes."""

from __future__ import annotations

from flask import redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from usermgmt.models import Mailbox
from usermgmt.parts import database, parts
from usermgmt.permit import permits
from usermgmt.quota import format_quota
from usermgmt.services import domains, links, mailboxes, removal, second_factor
from usermgmt.services.mailbox_list import Part, list_part, used_by
from usermgmt.services.mailbox_uses import uses_of
from usermgmt.web.context import actor, page_number, permitted, seen_version, tell
from usermgmt.web.forms import Details, Empty, Form, NewMailbox, NewPassword, Switch
from usermgmt.web.links import shown
from usermgmt.web.listing import Listing, asked
from usermgmt.web.sessions import protected

blueprint = protected("mailboxes", __name__)
#: What a list can be filtered and sorted by, in words.
STATES = {"enabled": "Enabled", "disabled": "Disabled", "never": "Never logged in", "full": "Full"}
ORDERS = {
    "address": "Address",
    "name": "Name",
    "used": "Used",
    "login": "Last log-in",
    "state": "State",
}
Page = str | Response | tuple[str, int]


def back_to(mailbox: Mailbox) -> Response:
    """The mailbox after a change."""
    return redirect(url_for("mailboxes.show_one", mailbox_id=mailbox.id), 303)


def listing() -> Listing:
    """The list that this request is about."""
    return asked("mailboxes.show", STATES, ORDERS)


def part_of(wanted: Listing) -> Part:
    """The mailboxes on all of its pages: never one that is not this person's."""
    return Part(permitted(), wanted.search, wanted.domain, wanted.state)


@blueprint.get("/mailboxes")
@permits("mailbox.list")
def show() -> str:
    """A page of the list."""
    wanted = listing()
    with database().transaction() as db:
        rows, total = list_part(db, part_of(wanted), wanted.order, wanted.page)
        used = used_by(db, rows)
    return render_template(
        "mailboxes.html",
        rows=rows,
        total=total,
        listing=wanted,
        pages=max(1, -(-total // mailboxes.PAGE)),
        used=used | parts().usage.of(row.email for row in rows),
    )


def new_page(form: Form) -> tuple[str, int]:
    """The form for a new mailbox."""
    with database().transaction() as db:
        names = domains.names_of(db, permitted())
    return render_template("mailbox_new.html", form=form, domains=names), form.status


@blueprint.get("/mailboxes/new")
@permits("mailbox.add")
def new() -> Page:
    """The form for a new mailbox."""
    return new_page(NewMailbox(formdata=None))


@blueprint.post("/mailboxes")
@permits("mailbox.add")
def add() -> Page:
    """Create a mailbox; a generated password is on the answer and nowhere else."""
    form = NewMailbox()
    password, generated = form.choose()
    with form.change() as db:
        entered = (form.email.data, password, form.quota.data, form.display_name.data)
        mailbox = mailboxes.add_mailbox(db, actor(), parts().hasher, *entered)
        link = links.create_link(db, actor(), mailbox) if form.by_link else ""
    if form.problems:
        return new_page(form)
    if link:
        return shown(mailbox, link)
    if generated:
        return render_template("password_shown.html", mailbox=mailbox, password=password), 201
    tell("The mailbox {name} was added.", name=mailbox.email)
    return back_to(mailbox)


def one_page(
    mailbox_id: int, details: Form | None = None, password: NewPassword | None = None
) -> tuple[str, int]:
    """A mailbox with all that can be changed, and all that belongs to it."""
    with database().transaction() as db:
        mailbox = mailboxes.get_mailbox(db, mailbox_id)
        uses = uses_of(db, mailbox, permitted())
        used = used_by(db, [mailbox])
    now = {"quota": format_quota(mailbox.quota_bytes), "display_name": mailbox.display_name}
    form, sent = Details.over(now, details)
    password = password or NewPassword(formdata=None)
    page = render_template(
        "mailbox.html",
        mailbox=mailbox,
        form=form,
        sent=sent,
        password=password,
        used=used | parts().usage.of([mailbox.email]),
        uses=uses,
    )
    return page, max(form.status, password.status)


@blueprint.get("/mailboxes/<int:mailbox_id>")
@permits("mailbox.list")
def show_one(mailbox_id: int) -> Page:
    """A mailbox with all that can be changed."""
    return one_page(mailbox_id)


@blueprint.post("/mailboxes/<int:mailbox_id>")
@permits("mailbox.change")
def change(mailbox_id: int) -> Page:
    """Change quota and name."""
    form = Details()
    with form.change() as db:
        entered = (form.quota.data, form.display_name.data)
        mailbox = mailboxes.change_details(db, actor(), mailbox_id, *entered, seen_version())
    if form.problems:
        return one_page(mailbox_id, form)
    tell("The mailbox {name} was changed.", name=mailbox.email)
    return back_to(mailbox)


@blueprint.post("/mailboxes/<int:mailbox_id>/password")
@permits("mailbox.password")
def change_password(mailbox_id: int) -> Page:
    """Set a chosen or a generated password, or make a link; until that is used the old password works."""
    form = NewPassword()
    if form.by_link:
        with database().transaction() as db:
            mailbox = mailboxes.get_mailbox(db, mailbox_id)
            link = links.create_link(db, actor(), mailbox)
        return shown(mailbox, link)
    password, generated = form.choose()
    with form.change() as db:
        mailbox = mailboxes.change_password(db, actor(), parts().hasher, mailbox_id, password)
    if form.problems:
        return one_page(mailbox_id, password=form)
    if generated:
        return render_template("password_shown.html", mailbox=mailbox, password=password), 200
    tell("The password of {name} was changed.", name=mailbox.email)
    return back_to(mailbox)


@blueprint.post("/mailboxes/<int:mailbox_id>/active")
@permits("mailbox.switch")
def switch(mailbox_id: int) -> Response:
    """Enable or disable a mailbox."""
    active = Switch().active.data
    with database().transaction() as db:
        mailbox = mailboxes.set_mailbox_active(db, actor(), mailbox_id, active)
    text = "The mailbox {name} is enabled." if active else "The mailbox {name} is disabled."
    tell(text, name=mailbox.email)
    return back_to(mailbox)


def confirm(mailbox_id: int, form: Form) -> tuple[str, int]:
    """The question before a mailbox is deleted."""
    with database().transaction() as db:
        mailbox = mailboxes.get_mailbox(db, mailbox_id)
    return render_template("mailbox_delete.html", mailbox=mailbox, form=form), form.status


@blueprint.get("/mailboxes/<int:mailbox_id>/delete")
@permits("mailbox.delete")
def ask_delete(mailbox_id: int) -> Page:
    """Ask before deleting."""
    return confirm(mailbox_id, Empty())


@blueprint.post("/mailboxes/<int:mailbox_id>/delete")
@permits("mailbox.delete")
def delete(mailbox_id: int) -> Page:
    """Delete the account; the mail stays on disk."""
    form = Empty()
    with form.change() as db:
        email = removal.delete_mailbox(db, actor(), mailbox_id)
    if form.problems:
        return confirm(mailbox_id, form)
    tell("The mailbox {name} was deleted; for 30 days it can be restored.", name=email)
    return redirect(url_for("mailboxes.show"), 303)


def deleted_page(form: Form) -> tuple[str, int]:
    """A page of the deleted mailboxes that can be restored."""
    search, number = request.args.get("q", "")[:320], page_number()
    with database().transaction() as db:
        rows, total = mailboxes.list_mailboxes(db, search, number, deleted=True, scope=permitted())
    page = render_template(
        "mailboxes_deleted.html",
        rows=[(row, removal.restorable_until(row)) for row in rows],
        search=search,
        page=number,
        pages=max(1, -(-total // mailboxes.PAGE)),
        form=form,
    )
    return page, form.status


@blueprint.get("/mailboxes/deleted")
@permits("mailbox.restore")
def show_deleted() -> Page:
    """The deleted mailboxes that can be restored."""
    return deleted_page(Empty())


@blueprint.post("/mailboxes/<int:deleted_id>/restore")
@permits("mailbox.restore")
def restore(deleted_id: int) -> Page:
    """Undo a deletion."""
    form = Empty()
    with form.change() as db:
        mailbox = removal.restore_mailbox(db, actor(), deleted_id)
    if form.problems:
        return deleted_page(form)
    tell("The mailbox {name} is back, with its mail and its password.", name=mailbox.email)
    return back_to(mailbox)


@blueprint.get("/mailboxes/<int:deleted_id>/erase")
@permits("mailbox.erase")
def ask_erase(deleted_id: int) -> str:
    """Ask before deleting for good."""
    with database().transaction() as db:
        mailbox = mailboxes.get_mailbox(db, deleted_id, deleted=True)
    return render_template("mailbox_erase.html", mailbox=mailbox, form=Empty())


@blueprint.post("/mailboxes/<int:deleted_id>/erase")
@permits("mailbox.erase")
def erase(deleted_id: int) -> Response:
    """Delete the account for good; its address is free."""
    with database().transaction() as db:
        email = removal.erase_mailbox(db, actor(), deleted_id)
    tell("The mailbox {name} was deleted for good.", name=email)
    return redirect(url_for("mailboxes.show_deleted"), 303)


@blueprint.post("/mailboxes/<int:mailbox_id>/second-factor")
@permits("mailbox.password")
def reset_second_factor(mailbox_id: int) -> Response:
    """Turn the second factor off for somebody who lost it and the recovery codes."""
    with database().transaction() as db:
        mailbox = mailboxes.get_mailbox(db, mailbox_id)
        second_factor.remove_all(db, actor(), mailbox)
    tell("The second factor of {name} is off.", name=mailbox.email)
    return back_to(mailbox)
