"""Pages of allowed and blocked senders; the filter fetches all lists here as well."""

from __future__ import annotations

from flask import Response, redirect, render_template, request, url_for
from sqlalchemy.orm import Session
from werkzeug.wrappers import Response as AnyResponse

from usermgmt.models import Mailbox
from usermgmt.models.senders import ALLOW
from usermgmt.parts import database
from usermgmt.permissions import own_senders
from usermgmt.permit import permits
from usermgmt.problems import Problem, Refused
from usermgmt.services import junk_limit, outside, senders
from usermgmt.services.listing import Window
from usermgmt.services.mail_rules import rules_of
from usermgmt.services.mailboxes import PAGE
from usermgmt.web import mail
from usermgmt.web.account import mailbox
from usermgmt.web.context import actor, current_account, page_number, tell
from usermgmt.web.sessions import protected

blueprint = protected("senders", __name__)
Page = str | AnyResponse | tuple[str, int]


def owner(session: Session, applies_to: str) -> senders.Owner:
    """Whose list a form means: of a person's it is their own. Raises Refused."""
    account = current_account()
    if isinstance(account, Mailbox):
        return senders.of_person(account)
    return senders.owner_named(session, actor(), applies_to)


def page(problems: list[Problem], status: int = 200) -> tuple[str, int]:
    """The entries, and the form for another one."""
    search, number = request.args.get("q", "")[:320], page_number()
    account = current_account()
    own = isinstance(account, Mailbox)
    with database().transaction() as db:
        found = senders.find(db, own_senders(account), search, Window(PAGE, number))
        limit = rules_of(db, account).junk_from if isinstance(account, Mailbox) else None
    shown = render_template(
        "senders.html",
        rows=found.rows,
        search=search,
        page=number,
        pages=max(1, -(-found.total // PAGE)),
        problems=problems,
        form=request.form,
        own=own,
        junk_from=request.form.get("junk_from", "" if limit is None else str(limit)),
        limits=junk_limit,
    )
    return shown, status


@blueprint.get("/senders")
@permits("sender.list")
def show() -> Page:
    """All entries that this person may see."""
    return page([])


@blueprint.post("/senders")
@permits("sender.add")
def add() -> Page:
    """Allow or block a sender."""
    form = request.form
    try:
        with database().transaction() as db:
            whose = owner(db, form.get("applies_to", ""))
            entered = (form.get("sender", ""), form.get("kind", ""), form.get("note", ""))
            rule = senders.set_rule(db, actor(), whose, *entered)
    except Refused as refusal:
        return page(refusal.problems, 422)
    text = "{sender} is allowed." if rule.kind == ALLOW else "{sender} is blocked."
    tell(text, sender=rule.pattern)
    return redirect(url_for("senders.show"), 303)


@blueprint.post("/senders/<int:rule_id>/delete")
@permits("sender.delete")
def delete(rule_id: int) -> AnyResponse:
    """Remove an entry."""
    with database().transaction() as db:
        rule = senders.remove_rule(db, actor(), rule_id)
    tell("{sender} was removed from the list.", sender=rule.pattern)
    return redirect(url_for("senders.show"), 303)


@blueprint.post("/senders/junk-limit")
@permits("account.own-mail")
def set_limit() -> Page:
    """Have more or less of one's own mail go to Junk."""
    try:
        with database().transaction() as db:
            junk_limit.set_limit(db, actor(), mailbox(), request.form.get("junk_from", ""))
    except Refused as refusal:
        return page(refusal.problems, 422)
    tell("The limit for Junk is saved.")
    return redirect(url_for("senders.show"), 303)


@blueprint.post("/mail/<int:report_id>/allow")
@permits("sender.add")
def allow(report_id: int) -> Page:
    """Allow whoever sent a mail that was held back: the address, or its whole domain."""
    report = mail.find_report(report_id)
    wanted = request.form.get("applies_to", "person")
    sender = report.sender.rpartition("@")[2] if request.form.get("whole") == "yes" else report.sender
    try:
        with database().transaction() as db:
            offered = mail.senders_offered(report, db.get(Mailbox, report.mailbox_id or 0))
            if wanted not in offered:
                wrong, instead = "The sender of this mail cannot be allowed here.", "Look at the list again."
                raise Refused(Problem("mail", "", wrong, instead))
            rule = senders.set_rule(db, actor(), owner(db, offered[wanted]), sender, ALLOW)
    except Refused as refusal:
        return mail.one_page(report, refusal.problems, 422)
    tell("{sender} is allowed.", sender=rule.pattern)
    return redirect(url_for("mail.show_one", report_id=report_id), 303)


def conditional(document: str) -> AnyResponse:
    """A document for the filter; nothing but 304 while it is as the filter knows it."""
    answer = Response(document, mimetype="application/json")
    answer.add_etag()
    return answer.make_conditional(request)


@mail.reports.get("/internal/sender-rules")
def tell_filter() -> AnyResponse:
    """All lists."""
    with database().transaction() as db:
        return conditional(senders.document(db))


@mail.reports.get("/internal/forwards")
def tell_forwards() -> AnyResponse:
    """Whose mail is forwarded outside, and where to."""
    with database().transaction() as db:
        return conditional(outside.document(db))
