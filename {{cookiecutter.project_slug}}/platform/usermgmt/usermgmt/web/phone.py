"""The page "Set up your phone": how mail programs get in, and an app password on the way."""

from __future__ import annotations

from flask import render_template

from usermgmt.parts import parts
from usermgmt.permit import permits
from usermgmt.services import programs
from usermgmt.web.account import mailbox
from usermgmt.web.forms import AppPassword
from usermgmt.web.sessions import protected

blueprint = protected("phone", __name__, "/account/phone")


@blueprint.get("")
@permits("account.own-mail")
def show() -> str:
    """What to do, or why it is not possible here."""
    settings = parts().settings
    return render_template(
        "phone.html",
        mailbox=mailbox(),
        host=settings.client_host,
        programs=programs,
        trusted=programs.is_trusted(settings.client_tls),
        app=AppPassword(formdata=None),
    )
