"""Dovecot asks here about the log-ins of mail programs; the network `data` leads here, nginx does not."""

from __future__ import annotations

import json

from flask import Blueprint, Flask, abort, current_app, request

from usermgmt.parts import EXTENSION, database
from usermgmt.services.mail_logins import MailLogin, admits, announce, report
from usermgmt.web.proxy import Addresses, only_from
from usermgmt.web.sessions import csrf

blueprint = Blueprint("mail_logins", __name__)
PEER, OURS = "addresses of dovecot", "addresses of this container"
#: The name by which Dovecot reaches this container; nginx passes on none that is not a site's.
HERE = "usermgmt"
#: Dovecot's numbers: go on, refuse.
ALLOW, REFUSE = 0, -1


@blueprint.post("/internal/log-ins")
def decide() -> dict[str, object]:
    """Answer before a password is looked at and after a right one, and take reports of how it ended.

    What is refused gets no reason: it would tell a guesser that the password was right.
    """
    only_from(current_app.extensions[PEER])
    try:
        said = json.loads(request.get_data().decode(errors="replace"))
    except ValueError:
        abort(400)
    if not isinstance(said, dict):
        abort(400)
    login, status = MailLogin.of(said), ALLOW
    if login.client_address in current_app.extensions[OURS]:
        # A mail is moved out of Junk, with a password for that (services/mail_moves.py): nobody's log-in.
        return {"status": ALLOW, "msg": ""}
    if request.args.get("command") == "report":
        report(database(), login, said.get("success") is True, str(said.get("fail_type", "")))
    elif login.kind:
        status = ALLOW if admits(database(), login) else REFUSE
    else:
        announce(database(), login)
    return {"status": status, "msg": ""}


def init_app(app: Flask) -> None:
    """Know who Dovecot is; what it sends is no form."""
    app.extensions[OURS] = Addresses(HERE)
    app.extensions[PEER] = Addresses(app.extensions[EXTENSION].settings.dovecot_host)
    csrf.exempt(blueprint)
