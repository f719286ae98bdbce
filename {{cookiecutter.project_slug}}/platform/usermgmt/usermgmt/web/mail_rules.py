"""What the owner of a mailbox has done with mail that arrives: an automatic reply, forwarding."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from flask import Blueprint, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from usermgmt.models import MailRules
from usermgmt.parts import database
from usermgmt.problems import Problem, Refused
from usermgmt.services import mail_rules
from usermgmt.web.account import mailbox
from usermgmt.web.context import actor, tell
from usermgmt.web.i18n import zone
from usermgmt.web.sessions import require_login

blueprint = Blueprint("mail_rules", __name__, url_prefix="/account/mail")
blueprint.before_request(require_login)
Page = str | Response | tuple[str, int]


def day(moment: datetime | None, earlier: timedelta = timedelta()) -> str:
    """The day of a stored moment in the reader's time zone, as a form has it."""
    if moment is None:
        return ""
    return (moment - earlier).replace(tzinfo=UTC).astimezone(ZoneInfo(zone())).date().isoformat()


def stored(rules: MailRules) -> dict[str, str]:
    """The choices as the fields of the forms."""
    return {
        "on": "yes" if rules.reply else "",
        "subject": rules.reply_subject,
        "text": rules.reply_text,
        "from": day(rules.starts_at),
        "until": day(rules.ends_at, timedelta(microseconds=1)),
        "days": str(rules.reply_days),
        "forward_to": "\n".join(rules.forward_to.split()),
        "keep_copy": "yes" if rules.keep_copy else "",
    }


def page(problems: list[Problem], sent: dict[str, str] | None = None, status: int = 200) -> Page:
    """Both forms, with what is stored, or in place of it what was sent and could not be taken."""
    with database().transaction() as db:
        form = {**stored(mail_rules.rules_of(db, mailbox())), **(sent or {})}
    return render_template("mail_rules.html", form=form, problems=problems, most=mail_rules.MOST_DAYS), status


@blueprint.get("")
def show() -> Page:
    """Both forms."""
    return page([])


@blueprint.post("/reply")
def set_reply() -> Page:
    """Turn the automatic reply on or off."""
    form = {"on": "", **request.form.to_dict()}
    try:
        with database().transaction() as db:
            mail_rules.set_reply(db, actor(), mailbox(), form, zone())
    except Refused as refusal:
        return page(refusal.problems, form, 422)
    on = form["on"] == "yes"
    text = "The automatic reply is on." if on else "The automatic reply is off."
    tell(text)
    return redirect(url_for("mail_rules.show"), 303)


@blueprint.post("/forwarding")
def set_forwards() -> Page:
    """Forward to other addresses, or stop."""
    form = {"keep_copy": "", "forward_to": "", **request.form.to_dict()}
    try:
        with database().transaction() as db:
            keep = form["keep_copy"] == "yes"
            mail_rules.set_forwards(db, actor(), mailbox(), form["forward_to"], keep)
    except Refused as refusal:
        return page(refusal.problems, form, 422)
    text = "Mail is forwarded." if form["forward_to"].strip() else "Mail is not forwarded."
    tell(text)
    return redirect(url_for("mail_rules.show"), 303)
