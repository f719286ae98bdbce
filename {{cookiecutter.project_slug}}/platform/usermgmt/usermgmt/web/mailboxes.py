"""Pages of mailboxes."""

from __future__ import annotations

from flask import abort, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from usermgmt.models import Mailbox
from usermgmt.parts import database, parts
from usermgmt.passwords import generate_password
from usermgmt.permissions import may
from usermgmt.permit import permits
from usermgmt.problems import CHANGED_MEANWHILE, Collector, Conflict, Missing, Problem, Refused
from usermgmt.quota import format_quota
from usermgmt.services import domains, links, mailboxes, removal, second_factor
from usermgmt.web.context import (
    actor,
    answer_to,
    current_account,
    form_values,
    page_number,
    permitted,
    seen_version,
    tell,
)
from usermgmt.web.links import shown, wanted
from usermgmt.web.sessions import protected

blueprint = protected("mailboxes", __name__)
#: What can be done to several mailboxes at once, and the action of permissions.ACTIONS that it is.
SELECTED = {
    "enable": "mailbox.switch",
    "disable": "mailbox.switch",
    "ask-delete": "mailbox.delete",
    "delete": "mailbox.delete",
}
Page = str | Response | tuple[str, int]


def back_to(mailbox: Mailbox) -> Response:
    """The mailbox after a change."""
    return redirect(url_for("mailboxes.show_one", mailbox_id=mailbox.id), 303)


def chosen_password() -> tuple[str, bool]:
    """The password of the form, and whether it was generated here. What was typed is never ignored."""
    typed = request.form.get("password", "")
    if typed or request.form.get("password_kind") == "chosen":
        return typed, False
    return generate_password(), True


@blueprint.get("/mailboxes")
@permits("mailbox.list")
def show() -> str:
    """A page of the list."""
    search, number = request.args.get("q", "")[:320], page_number()
    with database().transaction() as db:
        rows, total = mailboxes.list_mailboxes(db, search, number, scope=permitted())
    pages = max(1, -(-total // mailboxes.PAGE))
    return render_template(
        "mailboxes.html",
        rows=rows,
        total=total,
        search=search,
        page=number,
        pages=pages,
        used=parts().usage.of(row.email for row in rows),
    )


def back_to_list() -> Response:
    """The part of the list that a form was on."""
    search, number = request.form.get("q", "")[:320], request.form.get("page", "1")
    return redirect(url_for("mailboxes.show", q=search or None, page=number if number != "1" else None), 303)


@blueprint.post("/mailboxes/selected")
@permits("mailbox.switch")
def change_selected() -> Page:
    """Enable, disable or delete several at once: all of them or none."""
    what = request.form.get("what", "")
    numbers = [int(each) for each in request.form.getlist("selected") if each.isascii() and each.isdigit()]
    if not numbers or what not in SELECTED:
        tell("No mailbox was selected.")
        return back_to_list()
    with database().transaction() as db:
        chosen = [mailboxes.get_mailbox(db, number) for number in numbers[: mailboxes.PAGE]]
    if not all(may(current_account(), SELECTED[what], mailbox) for mailbox in chosen):
        abort(404)
    seen = request.form.getlist("if_version")
    if seen and seen != [str(mailbox.version) for mailbox in chosen]:
        raise Conflict(Problem("version", "", *CHANGED_MEANWHILE))
    if what == "ask-delete":
        return render_template("mailboxes_delete.html", chosen=chosen, problems=[])
    wrong = Collector()
    try:
        with database().transaction() as db:
            for mailbox in chosen:
                with wrong:
                    if what == "delete":
                        removal.delete_mailbox(db, actor(), mailbox.id)
                    else:
                        mailboxes.set_mailbox_active(db, actor(), mailbox.id, what == "enable")
            wrong.check()
    except Refused as refusal:
        return render_template("mailboxes_delete.html", chosen=chosen, problems=refusal.problems), 422
    text = "Enabled: {names}." if what == "enable" else "Disabled: {names}."
    text = "Deleted: {names}. For 30 days they can be restored." if what == "delete" else text
    tell(text, names=", ".join(mailbox.email for mailbox in chosen))
    return back_to_list()


def new_page(problems: list[Problem], status: int = 200) -> tuple[str, int]:
    """The form for a new mailbox."""
    with database().transaction() as db:
        names = [row.domain.name for row in domains.list_domains(db, permitted())]
    page = render_template("mailbox_new.html", form=request.form, problems=problems, domains=names)
    return page, status


@blueprint.get("/mailboxes/new")
@permits("mailbox.add")
def new() -> Page:
    """The form for a new mailbox."""
    return new_page([])


@blueprint.post("/mailboxes")
@permits("mailbox.add")
def add() -> Page:
    """Create a mailbox; a generated password is on the answer and nowhere else."""
    password, generated = chosen_password()
    form = request.form
    try:
        with database().transaction() as db:
            mailbox = mailboxes.add_mailbox(
                db,
                actor(),
                parts().hasher,
                form.get("email", ""),
                password,
                form.get("quota", ""),
                form.get("display_name", ""),
            )
            link = links.create_link(db, actor(), mailbox) if wanted() else ""
    except Refused as refusal:
        return new_page(refusal.problems, 422)
    if link:
        return shown(mailbox, link)
    if generated:
        return render_template("password_shown.html", mailbox=mailbox, password=password), 201
    tell("The mailbox {name} was added.", name=mailbox.email)
    return back_to(mailbox)


def one_page(mailbox_id: int, refusal: Refused | None = None) -> tuple[str, int]:
    """A mailbox with all that can be changed."""
    with database().transaction() as db:
        mailbox = mailboxes.get_mailbox(db, mailbox_id)
    now = {"quota": format_quota(mailbox.quota_bytes), "display_name": mailbox.display_name}
    problems = refusal.problems if refusal else []
    form = form_values(now, refusal)
    used = parts().usage.of([mailbox.email])
    page = render_template("mailbox.html", mailbox=mailbox, form=form, problems=problems, used=used)
    return page, answer_to(refusal)


@blueprint.get("/mailboxes/<int:mailbox_id>")
@permits("mailbox.list")
def show_one(mailbox_id: int) -> Page:
    """A mailbox with all that can be changed."""
    return one_page(mailbox_id)


@blueprint.post("/mailboxes/<int:mailbox_id>")
@permits("mailbox.change")
def change(mailbox_id: int) -> Page:
    """Change quota and name."""
    form = request.form
    try:
        with database().transaction() as db:
            mailbox = mailboxes.change_details(
                db,
                actor(),
                mailbox_id,
                form.get("quota", ""),
                form.get("display_name", ""),
                seen_version(),
            )
    except Refused as refusal:
        return one_page(mailbox_id, refusal)
    tell("The mailbox {name} was changed.", name=mailbox.email)
    return back_to(mailbox)


@blueprint.post("/mailboxes/<int:mailbox_id>/password")
@permits("mailbox.password")
def change_password(mailbox_id: int) -> Page:
    """Set a chosen or a generated password, or make a link; until that is used the old password works."""
    if wanted():
        with database().transaction() as db:
            mailbox = mailboxes.get_mailbox(db, mailbox_id)
            link = links.create_link(db, actor(), mailbox)
        return shown(mailbox, link)
    password, generated = chosen_password()
    try:
        with database().transaction() as db:
            mailbox = mailboxes.change_password(db, actor(), parts().hasher, mailbox_id, password)
    except Refused as refusal:
        return one_page(mailbox_id, refusal)
    if generated:
        return render_template("password_shown.html", mailbox=mailbox, password=password), 200
    tell("The password of {name} was changed.", name=mailbox.email)
    return back_to(mailbox)


@blueprint.post("/mailboxes/<int:mailbox_id>/active")
@permits("mailbox.switch")
def switch(mailbox_id: int) -> Response:
    """Enable or disable a mailbox."""
    active = request.form.get("active") == "yes"
    with database().transaction() as db:
        mailbox = mailboxes.set_mailbox_active(db, actor(), mailbox_id, active)
    text = "The mailbox {name} is enabled." if active else "The mailbox {name} is disabled."
    tell(text, name=mailbox.email)
    return back_to(mailbox)


def confirm(mailbox_id: int, problems: list[Problem], status: int = 200) -> tuple[str, int]:
    """The question before a mailbox is deleted."""
    with database().transaction() as db:
        mailbox = mailboxes.get_mailbox(db, mailbox_id)
    return render_template("mailbox_delete.html", mailbox=mailbox, problems=problems), status


@blueprint.get("/mailboxes/<int:mailbox_id>/delete")
@permits("mailbox.delete")
def ask_delete(mailbox_id: int) -> Page:
    """Ask before deleting."""
    return confirm(mailbox_id, [])


@blueprint.post("/mailboxes/<int:mailbox_id>/delete")
@permits("mailbox.delete")
def delete(mailbox_id: int) -> Page:
    """Delete the account; the mail stays on disk."""
    try:
        with database().transaction() as db:
            email = removal.delete_mailbox(db, actor(), mailbox_id)
    except Refused as refusal:
        return confirm(mailbox_id, refusal.problems, 422)
    tell("The mailbox {name} was deleted; for 30 days it can be restored.", name=email)
    return redirect(url_for("mailboxes.show"), 303)


def deleted_page(problems: list[Problem], status: int = 200) -> tuple[str, int]:
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
        problems=problems,
    )
    return page, status


@blueprint.get("/mailboxes/deleted")
@permits("mailbox.restore")
def show_deleted() -> Page:
    """The deleted mailboxes that can be restored."""
    return deleted_page([])


@blueprint.post("/mailboxes/<int:deleted_id>/restore")
@permits("mailbox.restore")
def restore(deleted_id: int) -> Page:
    """Undo a deletion."""
    try:
        with database().transaction() as db:
            mailbox = removal.restore_mailbox(db, actor(), deleted_id)
    except Missing:
        raise
    except Refused as refusal:
        return deleted_page(refusal.problems, 422)
    tell("The mailbox {name} is back, with its mail and its password.", name=mailbox.email)
    return back_to(mailbox)


@blueprint.get("/mailboxes/<int:deleted_id>/erase")
@permits("mailbox.erase")
def ask_erase(deleted_id: int) -> str:
    """Ask before deleting for good."""
    with database().transaction() as db:
        mailbox = mailboxes.get_mailbox(db, deleted_id, deleted=True)
    return render_template("mailbox_erase.html", mailbox=mailbox, problems=[])


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
