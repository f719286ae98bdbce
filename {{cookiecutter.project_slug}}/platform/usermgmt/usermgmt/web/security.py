"""Pages of the second factor: authenticator app, passkeys, recovery codes."""

from __future__ import annotations

import segno
from flask import g, render_template
from markupsafe import Markup
from sqlalchemy.orm import Session
from werkzeug.wrappers import Response

from usermgmt.parts import database
from usermgmt.permit import permits
from usermgmt.services import passkeys, second_factor
from usermgmt.services.accounts import Account
from usermgmt.web.account import Page, back, with_password
from usermgmt.web.context import actor, current_account, tell
from usermgmt.web.forms import Code, Form, NewPasskey
from usermgmt.web.sessions import keep_challenge, protected, take_challenge
from usermgmt.web.sites import site

blueprint = protected("security", __name__, "/account")


def merged(db: Session) -> Account:
    """Who is logged in, in this transaction."""
    account: Account = db.merge(current_account(), load=False)
    return account


def shown(codes: list[str]) -> str:
    """Recovery codes, this once."""
    return render_template("secrets_shown.html", secrets=codes, what="codes", account=current_account())


def totp_page(form: Form) -> tuple[str, int]:
    """The square to scan, and the same as text for who cannot."""
    with database().transaction() as db:
        account = merged(db)
        row = second_factor.set_up(db, account)
        uri = second_factor.uri(row, account, site().name)
    # A picture as SVG inside the page: nothing is fetched, and no style of its own.
    square = Markup(segno.make(uri, error="m").svg_inline(scale=4, border=4, dark="#000", light="#fff"))  # noqa: S704
    return render_template("totp.html", square=square, secret=row.secret, form=form), form.status


@blueprint.get("/totp")
@permits("account.own")
def totp() -> Page:
    """Set up an authenticator app."""
    return totp_page(Code(formdata=None))


@blueprint.post("/totp")
@permits("account.own")
def confirm_totp() -> Page:
    """Turn it on with its first code."""
    form = Code()
    with form.change() as db:
        codes = second_factor.confirm(db, actor(), merged(db), form.code.data)
    if form.problems:
        return totp_page(form)
    tell("The authenticator app is on.")
    return shown(codes) if codes else back()


@blueprint.post("/totp/delete")
@permits("account.own")
def delete_totp() -> Page:
    """Turn it off, with the password."""

    def off(db: Session, account: Account) -> Response:
        second_factor.remove(db, actor(), account)
        tell("The authenticator app is off.")
        return back()

    return with_password(off)


@blueprint.post("/recovery-codes")
@permits("account.own")
def renew_codes() -> Page:
    """New recovery codes, with the password; the old ones stop working."""
    return with_password(lambda db, account: shown(second_factor.renew_codes(db, account)))


def passkey_page(form: Form) -> tuple[str, int]:
    """The form that asks the browser for a passkey, with a new challenge."""
    with database().transaction() as db:
        options, challenge = passkeys.options_to_add(db, current_account(), site())
    keep_challenge(challenge)
    g.script = True
    return render_template("passkey.html", options=options, form=form), form.status


@blueprint.get("/passkeys/new")
@permits("account.own")
def new_passkey() -> Page:
    """Set up a passkey."""
    return passkey_page(NewPasskey(formdata=None))


@blueprint.post("/passkeys")
@permits("account.own")
def add_passkey() -> Page:
    """Keep what the browser made."""
    challenge, form = take_challenge(), NewPasskey()
    with form.change() as db:
        entered = (form.name.data, form.credential.data)
        codes = passkeys.add(db, actor(), merged(db), site(), challenge, *entered)
    if form.problems:
        return passkey_page(form)
    tell("The passkey is on.")
    return shown(codes) if codes else back()


@blueprint.post("/passkeys/<int:row_id>/delete")
@permits("account.own")
def delete_passkey(row_id: int) -> Page:
    """Forget a passkey, with the password."""

    def forget(db: Session, account: Account) -> Response:
        passkeys.remove(db, actor(), account, row_id)
        tell("The passkey was removed.")
        return back()

    return with_password(forget)
