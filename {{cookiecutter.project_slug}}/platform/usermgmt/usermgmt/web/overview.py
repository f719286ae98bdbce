"""The first page: what needs attention, pictures of the mail, what is there, and recent activity."""

from __future__ import annotations

from datetime import date
from typing import Any

from flask import render_template

from usermgmt.models import utc_now
from usermgmt.parts import database
from usermgmt.permit import permits
from usermgmt.services import host_news, mail_counts, overview
from usermgmt.services.audit import latest
from usermgmt.services.directory import counts
from usermgmt.web import charts
from usermgmt.web.context import permitted
from usermgmt.web.i18n import translate
from usermgmt.web.sessions import protected

LATEST = 12
ACTIONS = {
    "admin.add": "Admin added",
    "admin.disable": "Admin disabled",
    "admin.enable": "Admin enabled",
    "admin.link": "Password link for an admin made",
    "admin.remove": "Admin removed",
    "admin.domains": "Domains of an admin changed",
    "admin.reset": "Admin password reset",
    "alias.add": "Alias added",
    "alias.delete": "Alias deleted",
    "alias.disable": "Alias disabled",
    "alias.enable": "Alias enabled",
    "alias.may-not-send": "Sending as an alias forbidden",
    "alias.may-send": "Sending as an alias allowed",
    "app-password.add": "App password added",
    "app-password.delete": "App password revoked",
    "domain.add": "Domain added",
    "domain.change": "Domain changed",
    "domain.delete": "Domain deleted",
    "domain.disable": "Domain disabled",
    "domain.enable": "Domain enabled",
    "login.attempt": "Log-in attempt",
    "login.success": "Logged in",
    "logout": "Logged out",
    "mail.junk": "Mail moved to Junk",
    "mail.release": "Mail moved to the inbox",
    "calendar.add": "Calendar or address book added",
    "calendar.delete": "Calendar or address book deleted",
    "mailbox.add": "Mailbox added",
    "mailbox.change": "Mailbox changed",
    "mailbox.delete": "Mailbox deleted",
    "mailbox.disable": "Mailbox disabled",
    "mailbox.forward": "Forwarding changed",
    "mailbox.junk": "Limit for Junk changed",
    "mailbox.reply": "Automatic reply changed",
    "mailbox.erase": "Mailbox deleted for good",
    "mailbox.purge": "Deleted mailbox removed after 30 days",
    "mailbox.restore": "Mailbox restored",
    "mailbox.enable": "Mailbox enabled",
    "mailbox.link": "Password link made",
    "mailbox.password": "Password changed",
    "passkey.add": "Passkey added",
    "passkey.delete": "Passkey removed",
    "password.link": "Password set with a link",
    "password.change": "Own password changed",
    "second-factor.add": "Authenticator app added",
    "second-factor.delete": "Authenticator app removed",
    "second-factor.reset": "Second factor turned off by an admin",
    "sender.allow": "Sender allowed",
    "sender.block": "Sender blocked",
    "sender.remove": "Sender removed from a list",
    "token.add": "API token made",
    "token.revoke": "API token revoked",
}
#: Counts of deliveries by how long they took: services/host_news.py has the limits.
DELIVERIES = (
    "Within 10 seconds",
    "Within a minute",
    "Within 10 minutes",
    "Within an hour",
    "Later",
    "Had to wait",
)
JOBS = {"backup": "Backup", "sync": "Copy in S3", "drill": "Restore drill"}
blueprint = protected("overview", __name__)


@blueprint.get("/")
@permits("overview.list")
def show() -> str:
    """What needs attention, how much mail there was, how full it is, and the newest rows of the audit log."""
    scope = permitted()
    with database().transaction() as db:
        news, stored = host_news.latest(db), overview.storage(db, scope)
        mail = mail_counts.history(db, scope)
        server = news.document if news and scope is None and not host_news.is_old(news) else None
        return render_template(
            "overview.html",
            counts=counts(db, scope),
            attention=overview.attention(db, news, stored, scope),
            news=news,
            server=server,
            mail=[charts.of_mail(period, tallies) for period, tallies in mail.items()],
            deliveries=picture_of_deliveries(server["deliveries"]) if server else None,
            stored=stored,
            entries=latest(db, LATEST, scope),
            actions=ACTIONS,
            jobs=JOBS,
            moment_of=overview.moment_of,
        )


def picture_of_deliveries(rows: list[dict[str, Any]]) -> charts.Picture:
    """How long deliveries took on each day, and how many had to wait for another attempt."""
    known = {date.fromisoformat(row["day"]): [*row["seconds"], row["deferred"]] for row in rows}
    days = mail_counts.periods(utc_now().date())[mail_counts.DAY]
    nothing = [0] * len(DELIVERIES)
    drawn = [(day, known.get(day, nothing)) for day in days]
    text = "How long deliveries took"
    return charts.draw(mail_counts.DAY, translate(text), [translate(name) for name in DELIVERIES], drawn)
