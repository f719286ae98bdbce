"""What mail programs fetch by themselves, and what a phone opens by a link: all without a log-in.

Nothing here says whether an address exists. Outlook and Thunderbird get the servers; the app password is the
person's to type, unless the link has it.
"""

from __future__ import annotations

import segno
from defusedxml import ElementTree
from defusedxml.common import DefusedXmlException
from flask import Blueprint, Flask, abort, render_template, request, url_for
from markupsafe import Markup
from werkzeug.wrappers import Response

from usermgmt.addresses import parse_address
from usermgmt.models import Mailbox
from usermgmt.parts import database, parts
from usermgmt.problems import Refused
from usermgmt.services import programs
from usermgmt.web.sessions import csrf
from usermgmt.web.sites import MAILBOX, site

blueprint = Blueprint("programs", __name__)
#: How Outlook asks, and what it is answered in (MS-OXDSCLI).
ASKED = "{http://schemas.microsoft.com/exchange/autodiscover/outlook/requestschema/2006}"
LONGEST = 8192


def client_host() -> str:
    """Where mail programs connect to; 404 where they may not."""
    host = parts().settings.client_host
    if not host:
        abort(404)
    return host


def xml(template: str, **values: object) -> Response:
    """A document for a program."""
    text = render_template(template, programs=programs, host=client_host(), **values)
    return Response(text, content_type="text/xml; charset=utf-8")


@blueprint.get("/mail/config-v1.1.xml")
@blueprint.get("/.well-known/autoconfig/mail/config-v1.1.xml")
def autoconfig() -> Response:
    """For Thunderbird, K-9 and others: they put the address in themselves."""
    page = site(MAILBOX).origin + url_for("phone.show")
    return xml("autoconfig.xml", page=page)


@blueprint.post("/autodiscover/autodiscover.xml")
def autodiscover() -> Response:
    """For classic Outlook on Windows, which sends the address."""
    client_host()
    try:
        asked = ElementTree.fromstring(request.get_data()[: LONGEST + 1], forbid_dtd=True)
        said = (asked.findtext(f"{ASKED}Request/{ASKED}EMailAddress") or "").strip()
        email = parse_address(said, "EMailAddress")
    except (ElementTree.ParseError, DefusedXmlException, Refused, ValueError):
        return xml("autodiscover.xml", email="")
    return xml("autodiscover.xml", email=email)


def opened() -> programs.Opened | None:
    """What the link of this request leads to; it is in the query, which no log has."""
    client_host()
    with database().transaction() as db:
        return programs.open_link(db, parts().settings.session_key, request.args.get("link", "")[:1000])


@blueprint.get("/phone")
def phone() -> tuple[str, int]:
    """What the square leads to. Opening it uses nothing up."""
    found = opened()
    shown = render_template(
        "phone_link.html",
        opened=found,
        link=request.args.get("link", ""),
        host=client_host(),
        programs=programs,
        trusted=programs.is_trusted(parts().settings.client_tls),
    )
    return shown, 200 if found else 404


@blueprint.get("/phone/mail.mobileconfig")
def mobileconfig() -> Response | tuple[str, int]:
    """The profile, signed."""
    found, file = opened(), parts().settings.client_tls
    if found is None or file is None:
        return phone()
    content = programs.signed(programs.profile(client_host(), found), file)
    answer = Response(content, content_type="application/x-apple-aspen-config")
    answer.headers["Content-Disposition"] = 'attachment; filename="mail.mobileconfig"'
    return answer


def ready(account: Mailbox, password: str) -> str:
    """The new app password, this once, with the square to scan."""
    settings = parts().settings
    link = programs.link(settings.session_key, account, password)
    uri = site(MAILBOX).origin + url_for("programs.phone", link=link)
    square = Markup(segno.make(uri, error="l").svg_inline(scale=4, border=4, dark="#000", light="#fff"))  # noqa: S704
    return render_template(
        "phone_ready.html",
        account=account,
        password=password,
        square=square,
        link=link,
        host=settings.client_host,
        programs=programs,
        minutes=programs.LASTS_SECONDS // 60,
    )


def init_app(_app: Flask) -> None:
    """No cookie counts where programs ask, so no other site can use one."""
    csrf.exempt(blueprint)
