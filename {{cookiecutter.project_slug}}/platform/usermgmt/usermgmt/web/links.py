"""The page that a password link opens: whoever it is for chooses a password, without a log-in."""

from __future__ import annotations

from flask import Blueprint, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from usermgmt.parts import client_address, database, parts
from usermgmt.problems import Refused
from usermgmt.services.accounts import Account, kind_of
from usermgmt.services.links import LASTS, check_guesses, count_guess, find_link, use_link
from usermgmt.services.logins import Throttled
from usermgmt.web.auth import known, throttled
from usermgmt.web.context import tell
from usermgmt.web.forms import ChosenPassword, Form
from usermgmt.web.sites import kind_here, site

blueprint = Blueprint("links", __name__)
Page = str | Response | tuple[str, int]


def shown(account: Account, token: str) -> tuple[str, int]:
    """The new link, this once. The token is in the query, which no log has."""
    back = (
        url_for("admins.show")
        if kind_of(account) == "admin"
        else url_for("mailboxes.show_one", mailbox_id=account.id)
    )
    link = site(kind_of(account)).origin + url_for("links.show", link=token)
    hours = int(LASTS.total_seconds() // 3600)
    return render_template("link_shown.html", account=account, link=link, hours=hours, back=back), 201


def token() -> str:
    """What the request says; nothing if it is for an account of the other site."""
    said = request.values.get("link", "")[:200]
    return said if said.startswith(f"{kind_here()}-") else ""


def page(account: Account | None, form: Form) -> tuple[str, int]:
    """The form, or the same answer to every link that does not work, whatever the reason."""
    status = 404 if account is None else form.status
    return render_template("password_link.html", account=account, link=token(), form=form), status


def not_working() -> tuple[str, int]:
    """Count it, for somebody may be guessing."""
    count_guess(database(), client_address())
    return page(None, ChosenPassword(formdata=None))


@blueprint.get("/password")
def show() -> Page:
    """The form. Opening it uses nothing up: programs look at links before people do."""
    try:
        with database().transaction() as db:
            check_guesses(db, client_address())
            found = find_link(db, token())
    except Throttled:
        return throttled()
    return page(found[1], ChosenPassword(formdata=None)) if found else not_working()


@blueprint.post("/password")
def choose() -> Page:
    """Set the password; the link is used up."""
    form = ChosenPassword()
    new, again = form.password.data, form.again.data
    try:
        form.check()
        with database().transaction() as db:
            check_guesses(db, client_address())
            account = use_link(db, parts().hasher, token(), new, again, client_address())
    except Throttled:
        return throttled()
    except Refused as refusal:
        with database().transaction() as db:
            found = find_link(db, token())
        return page(found[1], form.refuse(refusal)) if found else not_working()
    if account is None:
        return not_working()
    tell("Your password was set. Log in with it now.")
    return known(redirect(url_for("auth.login"), 303), account)
