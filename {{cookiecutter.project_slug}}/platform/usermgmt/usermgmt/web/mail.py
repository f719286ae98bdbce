"""Pages of refused and junked mail, and of any mail's result; rspamd's reports arrive here as well."""

from __future__ import annotations

import json

from flask import Blueprint, Flask, Response, abort, current_app, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from usermgmt import problem_json
from usermgmt.mail.doveadm import Unreachable
from usermgmt.models import Domain, Mailbox, MailReport
from usermgmt.parts import EXTENSION, database, parts
from usermgmt.permissions import own_mail
from usermgmt.permit import permits
from usermgmt.problems import Problem, Refused
from usermgmt.services import mail_moves, mail_reports
from usermgmt.services.mail_reasons import REASONS
from usermgmt.web.context import actor, current_account, page_number, permitted, tell
from usermgmt.web.errors import log
from usermgmt.web.proxy import Addresses, only_from
from usermgmt.web.sessions import csrf, protected

blueprint = protected("mail", __name__)
reports = Blueprint("reports", __name__)
FILTER = "addresses of the mail filter"
LARGEST_REPORTS = 4 * 1024 * 1024
OUTCOMES = {
    "refused": "Refused",
    "junk": "Junk",
    "deferred": "Deferred",
    "accepted": "Delivered",
}
#: What each outcome means for whoever waits for the mail.
MEANINGS = {
    "refused": (
        "The mail was refused while its sender's server was still connected. It was never stored here, so it "
        "cannot be released; the sender was notified. If it was wanted, ask the sender to send it again, "
        "without what is named below."
    ),
    "junk": "The mail was delivered to the folder Junk.",
    "deferred": (
        "The sender's server was asked to try again later. If it does, the next attempt is another line of"
        " the list."
    ),
    "accepted": "The filter let the mail pass, and it was handed on for delivery.",
}
Page = str | AnyResponse | tuple[str, int]


@blueprint.get("/mail")
@permits("mail.list")
def show() -> str:
    """A page of the list."""
    search, outcome, number = request.args.get("q", "")[:320], request.args.get("outcome", ""), page_number()
    with database().transaction() as db:
        rows, more = mail_reports.find(db, own_mail(current_account()), search, outcome, number)
    return render_template(
        "mail.html",
        rows=rows,
        more=more,
        search=search,
        outcome=outcome,
        outcomes=OUTCOMES,
        page=number,
        days=mail_reports.KEEP.days,
    )


def find_report(report_id: int) -> MailReport:
    """The report with this id, which its reader may see; raises Missing."""
    with database().transaction() as db:
        return mail_reports.get_report(db, report_id)


def senders_offered(report: MailReport, mailbox: Mailbox | None) -> dict[str, str]:
    """Whose lists could allow the sender of a mail that was held back: names, by what the form sends."""
    if report.outbound or report.outcome not in ("refused", "junk") or "@" not in report.sender:
        return {}
    offered = {"person": mailbox.email} if mailbox else {}
    if isinstance(current_account(), Mailbox):
        return offered
    with database().transaction() as db:
        offered["domain"] = db.get_one(Domain, report.domain_id).name
    return offered if permitted() is not None else {**offered, "server": ""}


def one_page(report: MailReport, problems: list[Problem], status: int = 200) -> tuple[str, int]:
    """A mail, and why it was treated so."""
    with database().transaction() as db:
        mailbox = db.get(Mailbox, report.mailbox_id) if report.mailbox_id else None
    shown = render_template(
        "mail_one.html",
        report=report,
        mailbox=mailbox,
        place=mail_moves.place_of(report),
        lists=senders_offered(report, mailbox),
        reasons=REASONS,
        outcomes=OUTCOMES,
        meanings=MEANINGS,
        problems=problems,
    )
    return shown, status


@blueprint.get("/mail/<int:report_id>")
@permits("mail.list")
def show_one(report_id: int) -> Page:
    """A mail, and why it was treated so."""
    return one_page(find_report(report_id), [])


@blueprint.post("/mail/<int:report_id>/move")
@permits("mail.move")
def move(report_id: int) -> Page:
    """Move a mail out of Junk or into it; the filter learns from that."""
    report, target = find_report(report_id), request.form.get("target", "")
    try:
        mail_moves.move(database(), parts().settings.doveadm, actor(), report, target)
    except Refused as refusal:
        return one_page(report, refusal.problems, 422)
    except Unreachable as error:
        log.error("a mail cannot be moved: %s", error)
        wrong, instead = "The mailboxes do not answer.", "Try again in a minute. Nothing was changed."
        page, status = one_page(report, [Problem("mail", "", wrong, instead)], 503)
        return Response(page, status, headers={"Retry-After": problem_json.RETRY_SECONDS})
    if target == "inbox":
        tell("The mail is in the inbox, and the filter has learned that it is no spam.")
    else:
        tell("The mail is in Junk, and the filter has learned that it is spam.")
    return redirect(url_for("mail.show_one", report_id=report_id), 303)


@reports.before_request
def only_the_filter() -> None:
    """Answer rspamd alone, at its own address and not through nginx."""
    only_from(current_app.extensions[FILTER])


@reports.post("/internal/mail-reports")
def take() -> tuple[str, int]:
    """Reports of rspamd."""
    request.max_content_length = LARGEST_REPORTS
    try:
        # A header may hold bytes that are no text.
        entries = json.loads(request.get_data().decode(errors="replace"))
    except ValueError:
        abort(400)
    if not isinstance(entries, list):
        abort(400)
    with database().transaction() as db:
        mail_reports.take_all(db, entries)
    return "", 204


def init_app(app: Flask) -> None:
    """Know who the filter is; its reports are no forms."""
    app.extensions[FILTER] = Addresses(app.extensions[EXTENSION].settings.filter_host)
    csrf.exempt(reports)
