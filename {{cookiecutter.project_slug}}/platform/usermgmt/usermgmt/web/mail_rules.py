"""What the owner of a mailbox has done with mail that arrives: an automatic reply, forwarding."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from flask import redirect, render_template, url_for
from werkzeug.wrappers import Response

from usermgmt.models import MailRules
from usermgmt.parts import database, parts
from usermgmt.permit import permits
from usermgmt.services import mail_rules, outside
from usermgmt.web.account import mailbox
from usermgmt.web.context import actor, tell
from usermgmt.web.forms import Form, Forwarding, Reply
from usermgmt.web.i18n import zone
from usermgmt.web.sessions import protected

blueprint = protected("mail_rules", __name__, "/account/mail")
Page = str | Response | tuple[str, int]
#: How it stands with an address outside, as the page says it.
STATE_WORDS = {
    outside.VERIFIED: "Confirmed",
    outside.WAITING: "Waits: confirm the mail that Cloudflare sent there.",
    outside.UNKNOWN: "Unknown: Cloudflare will be asked to send a mail there, which must be confirmed.",
}
#: Why mail was not forwarded: reasons of mailserver-api. Whatever else it says are Cloudflare's own words.
REASONS = {
    "spool": "It waited at Cloudflare while this server was off.",
    "own": "It was written by somebody of this server.",
    "loop": "It had been forwarded from here before.",
    "unconfirmed": "Nobody knows whether it was forwarded.",
}


def day(moment: datetime | None, earlier: timedelta = timedelta()) -> str:
    """The day of a stored moment in the reader's time zone, as a form has it."""
    if moment is None:
        return ""
    return (moment - earlier).replace(tzinfo=UTC).astimezone(ZoneInfo(zone())).date().isoformat()


def stored(rules: MailRules) -> dict[str, str | bool]:
    """The choices as the fields of the forms."""
    return {
        "on": rules.reply,
        "subject": rules.reply_subject,
        "text": rules.reply_text,
        "first_day": day(rules.starts_at),
        "until": day(rules.ends_at, timedelta(microseconds=1)),
        "days": str(rules.reply_days),
        "forward_to": "\n".join([*rules.forward_to.split(), *rules.forward_outside.split()]),
        "keep_copy": rules.keep_copy,
    }


def page(reply: Form | None = None, forwarding: Form | None = None) -> Page:
    """Both forms, with what is stored, or in place of it what was sent and could not be taken."""
    with database().transaction() as db:
        rules = mail_rules.rules_of(db, mailbox())
        now = stored(rules)
        states = outside.state_of(db, rules.forward_outside.split())
        failed = outside.failures(db, mail_rules.own_addresses(db, mailbox())) if states else []
    reply, forwarding = Reply.over(now, reply)[0], Forwarding.over(now, forwarding)[0]
    shown = render_template(
        "mail_rules.html",
        reply=reply,
        forwarding=forwarding,
        most=mail_rules.MOST_DAYS,
        states=states,
        failed=[{**each, "at": datetime.fromtimestamp(each["at"], UTC)} for each in failed],
        words=STATE_WORDS,
        reasons=REASONS,
        by_relay=parts().settings.forward_by_relay,
    )
    return shown, max(reply.status, forwarding.status)


@blueprint.get("")
@permits("account.own-mail")
def show() -> Page:
    """Both forms."""
    return page()


@blueprint.post("/reply")
@permits("account.own-mail")
def set_reply() -> Page:
    """Turn the automatic reply on or off."""
    form = Reply()
    with form.change() as db:
        mail_rules.set_reply(db, actor(), mailbox(), form.entered(), zone())
    if form.problems:
        return page(reply=form)
    text = "The automatic reply is on." if form.on.data else "The automatic reply is off."
    tell(text)
    return redirect(url_for("mail_rules.show"), 303)


@blueprint.post("/forwarding")
@permits("account.own-mail")
def set_forwards() -> Page:
    """Forward to other addresses, or stop."""
    form = Forwarding()
    with form.change() as db:
        entered = (form.forward_to.data, form.keep_copy.data)
        mail_rules.set_forwards(db, actor(), mailbox(), *entered)
    if form.problems:
        return page(forwarding=form)
    text = "Mail is forwarded." if form.forward_to.data.strip() else "Mail is not forwarded."
    tell(text)
    return redirect(url_for("mail_rules.show"), 303)
