"""One change for several mailboxes: those that are ticked on a page, or all that a filter finds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from flask import abort, redirect, render_template, request
from sqlalchemy.orm import Session
from werkzeug.wrappers import Response

from usermgmt.models import Mailbox
from usermgmt.parts import database
from usermgmt.permissions import may
from usermgmt.permit import action_of, permits
from usermgmt.problems import CHANGED_MEANWHILE, Collector, Conflict, Problem, Refused
from usermgmt.services import mailboxes, removal
from usermgmt.services.mailbox_batches import Done, change_part
from usermgmt.services.mailbox_list import Part, extent, list_part
from usermgmt.web.context import actor, current_account, tell
from usermgmt.web.forms import Selection, Switch
from usermgmt.web.mailboxes import Page, listing, part_of
from usermgmt.web.sessions import protected

blueprint = protected("mailbox_selection", __name__)
#: Addresses that a question about many names, and problems that its answer does.
EXAMPLES, MOST_PROBLEMS = 5, 20


@dataclass(frozen=True)
class Change:
    """What is done to each mailbox. Its name chooses the words of the pages."""

    name: str
    do: Callable[[Session, int], object]
    asks: bool = False


def back_to_list() -> Response:
    """The part of the list that a form was on."""
    return redirect(listing().link(), 303)


@blueprint.post("/mailboxes/selected/active")
@permits("mailbox.switch")
def switch() -> Page:
    """Enable or disable them."""
    on = bool(Switch().active.data)
    set_one = mailboxes.set_mailbox_active
    return carry_out(
        Change("enable" if on else "disable", lambda db, number: set_one(db, actor(), number, on))
    )


@blueprint.post("/mailboxes/selected/delete")
@permits("mailbox.delete")
def delete() -> Page:
    """Delete them, after a question."""
    delete_one = removal.delete_mailbox
    return carry_out(Change("delete", lambda db, number: delete_one(db, actor(), number), asks=True))


def carry_out(change: Change) -> Page:
    """Do it to what is meant."""
    form = Selection()
    return to_all(change, form) if form.all.data else to_ticked(change, form)


def to_ticked(change: Change, form: Selection) -> Page:
    """Do it to the mailboxes that are ticked: to all of them or none."""
    with database().transaction() as db:
        chosen = [mailboxes.get_mailbox(db, number) for number in form.selected.data[: mailboxes.PAGE]]
    if not chosen:
        tell("No mailbox was selected.")
        return back_to_list()
    if not all(may(current_account(), action_of(request.endpoint), mailbox) for mailbox in chosen):
        abort(404)
    if form.if_version.data and form.if_version.data != [str(mailbox.version) for mailbox in chosen]:
        raise Conflict(Problem("version", "", *CHANGED_MEANWHILE))
    if change.asks and not form.sure.data:
        return render_template("mailboxes_delete.html", chosen=chosen, form=form)
    wrong = Collector()
    try:
        with database().transaction() as db:
            for mailbox in chosen:
                with wrong:
                    change.do(db, mailbox.id)
            wrong.check()
    except Refused as refusal:
        return render_template("mailboxes_delete.html", chosen=chosen, form=form.refuse(refusal)), 422
    say(change, ", ".join(mailbox.email for mailbox in chosen))
    return back_to_list()


def say(change: Change, names: str) -> None:
    """Say what was done, on the next page."""
    text = "Enabled: {names}." if change.name == "enable" else "Disabled: {names}."
    text = "Deleted: {names}. For 30 days they can be restored." if change.name == "delete" else text
    tell(text, names=names)


def to_all(change: Change, form: Selection) -> Page:
    """Do it to all that the filter finds, as many as were there when the question was asked."""
    part, after = part_of(listing()), form.number("after")
    with database().transaction() as db:
        until = form.number("until") or extent(db, part)[1]
        count = extent(db, replace(part, after=after, until=until))[0]
    if not count and not after:
        tell("No mailbox was selected.")
        return back_to_list()
    if not form.sure.data or form.number("count") != count:
        # Whoever was asked about another number is asked again.
        return question(change, replace(part, after=after, until=until), bool(form.sure.data))
    done = change_part(database(), replace(part, after=after, until=until), change.do)
    if done.more or done.problems:
        return question(change, replace(part, after=done.last, until=until), False, done)
    tell("Done. Mailboxes: {count}.", count=str(done.changed))
    return back_to_list()


def question(change: Change, part: Part, outdated: bool, done: Done | None = None) -> tuple[str, int]:
    """How many mailboxes there are to go on with; and what was done so far."""
    with database().transaction() as db:
        examples: list[Mailbox] = list_part(db, part, size=EXAMPLES)[0]
        count = extent(db, part)[0]
    page = render_template(
        "mailboxes_all.html",
        change=change.name,
        listing=listing(),
        after=part.after,
        until=part.until,
        count=count,
        examples=examples,
        outdated=outdated,
        done=done,
        problems=done.problems[:MOST_PROBLEMS] if done else [],
    )
    return page, 409 if outdated else 422 if done and done.problems else 200
