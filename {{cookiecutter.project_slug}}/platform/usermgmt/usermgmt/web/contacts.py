"""The contacts of whoever is in the webmail, for its server; only inside the stack."""

from __future__ import annotations

from flask import Blueprint, Flask, Response, current_app, jsonify, request

from usermgmt.mail.address_books import AddressBooks
from usermgmt.mail.doveadm import Unreachable
from usermgmt.parts import database, parts
from usermgmt.permissions import may
from usermgmt.services import calendars, oidc
from usermgmt.web.calendars import server
from usermgmt.web.errors import log

blueprint = Blueprint("contacts", __name__)
BOOKS = "address books"


@blueprint.get("/internal/contacts")
def show() -> Response:
    """All contacts of the person whose access token is shown, and of nobody else."""
    radicale, token = server(), request.authorization and request.authorization.token
    with database().transaction() as db:
        mailbox = oidc.holder(db, parts().settings.issuer, token or "")
        person = calendars.person(mailbox) if mailbox and may(mailbox, "account.own-mail") else None
    if person is None:
        return Response(status=401, headers={"WWW-Authenticate": 'Bearer error="invalid_token"'})
    try:
        contacts, more = current_app.extensions[BOOKS].contacts(radicale, person)
    except Unreachable as error:
        log.error("contacts cannot be shown: %s", error)
        return Response(status=503)
    return jsonify(contacts=contacts, more=more)


def init_app(app: Flask) -> None:
    """Remember what was read."""
    app.extensions[BOOKS] = AddressBooks()
