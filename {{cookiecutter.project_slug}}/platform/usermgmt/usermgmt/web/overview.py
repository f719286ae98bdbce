"""The first page: what is there and recent activity."""

from __future__ import annotations

from flask import render_template

from usermgmt.parts import database
from usermgmt.permit import permits
from usermgmt.quota import format_quota
from usermgmt.services.audit import latest
from usermgmt.services.directory import counts
from usermgmt.services.domains import list_domains
from usermgmt.web.context import permitted
from usermgmt.web.sessions import protected

LATEST = 12
ACTIONS = {
    "admin.add": "Admin added",
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
    "mailbox.add": "Mailbox added",
    "mailbox.change": "Mailbox changed",
    "mailbox.delete": "Mailbox deleted",
    "mailbox.disable": "Mailbox disabled",
    "mailbox.forward": "Forwarding changed",
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
blueprint = protected("overview", __name__)


@blueprint.get("/")
@permits("overview")
def show() -> str:
    """Counts and the newest rows of the audit log."""
    with database().transaction() as db:
        names = None if permitted() is None else [row.domain.name for row in list_domains(db, permitted())]
        return render_template(
            "overview.html",
            counts=counts(db, permitted()),
            entries=latest(db, LATEST, names),
            actions=ACTIONS,
            format_quota=format_quota,
        )
