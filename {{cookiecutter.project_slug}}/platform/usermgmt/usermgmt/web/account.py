"""One's own account, for admins and owners of mailboxes: password, app passwords, sessions, log-ins."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flask import g, redirect, render_template, session, url_for
from sqlalchemy.orm import Session
from werkzeug.exceptions import NotFound
from werkzeug.wrappers import Response

from usermgmt.models import Mailbox
from usermgmt.parts import client_address, database, parts
from usermgmt.permit import permits
from usermgmt.problems import Refused
from usermgmt.quota import format_quota
from usermgmt.services import mail_counts, overview, second_factor, self_service, web_sessions
from usermgmt.services.accounts import Account
from usermgmt.services.logins import Throttled, check_throttle, count_failure, recent_logins
from usermgmt.web import charts
from usermgmt.web.auth import device, throttled
from usermgmt.web.context import actor, current_account, tell
from usermgmt.web.forms import AppPassword, Confirmed, Form, OwnPassword
from usermgmt.web.programs import ready
from usermgmt.web.sessions import protected, stamp

blueprint = protected("account", __name__, "/account")
Page = str | Response | tuple[str, int]
#: How somebody came, in the list of log-ins.
VIA = {
    "": "This site",
    "imap": "Mail program (IMAP)",
    "smtp": "Mail program (sending)",
    "sieve": "Mail program (filters)",
    "access": "Cloudflare Access",
    "dav": "Calendars and contacts",
    "passkey": "Passkey",
}


def mailbox() -> Mailbox:
    """The mailbox that is logged in; app passwords are of no use to an admin."""
    if not isinstance(g.account, Mailbox):
        raise NotFound
    return g.account


def page(form: Form | None = None) -> tuple[str, int]:
    """Everything about the account, with the form that was refused in its place."""
    account, form = current_account(), form or Confirmed(formdata=None)
    with database().transaction() as db:
        shown = render_template(
            "account.html",
            account=account,
            mailbox=account if isinstance(account, Mailbox) else None,
            app_passwords=self_service.list_app_passwords(db, account),
            totp=second_factor.secret_of(db, account, True),
            passkeys=second_factor.passkeys_of(db, account),
            codes_left=second_factor.codes_left(db, account),
            sessions=web_sessions.list_sessions(db, account),
            logins=recent_logins(db, account.email),
            via=VIA,
            form=form,
            plain=Confirmed(formdata=None),
            own=form if isinstance(form, OwnPassword) else OwnPassword(formdata=None),
            app=form if isinstance(form, AppPassword) else AppPassword(formdata=None),
            format_quota=format_quota,
            **own_mail(db, account),
        )
    return shown, form.status


def own_mail(db: Session, account: Account) -> dict[str, Any]:
    """How full a person's mailbox is, and a picture of their mail; nothing for an admin."""
    if not isinstance(account, Mailbox):
        return {}
    used = parts().usage.of([account.email]).get(account.email, overview.usage_of(db, account))
    return {
        "used": used,
        "mail": charts.of_mail(mail_counts.DAY, mail_counts.days_of_mailbox(db, account.id)),
    }


def with_password(work: Callable[[Session, Account], Response | str], form: Form | None = None) -> Page:
    """Do something that an open browser alone must not allow: the form has the password too.

    Wrong ones count as wrong log-ins do, so that a stolen session is no place to guess.
    """
    account, form = current_account(), form or Confirmed()
    try:
        form.check()
        with database().transaction() as db:
            check_throttle(db, account.email, client_address(), device(account.email))
            merged = db.merge(account, load=False)
            self_service.check_own_password(parts().hasher, account, form.old_password.data)
            return work(db, merged)
    except Throttled:
        return throttled()
    except Refused as refusal:
        if form.refuse(refusal).old_password.errors:
            count_failure(database(), account.email, client_address(), device(account.email))
        return page(form)


def back() -> Response:
    """After a change."""
    return redirect(url_for("account.show"), 303)


@blueprint.get("")
@permits("account.own")
def show() -> Page:
    """Everything about the account."""
    return page()


@blueprint.post("/password")
@permits("account.own")
def change_password() -> Page:
    """Change one's own password; all other browsers are logged out."""
    form = OwnPassword()

    def change(db: Session, account: Account) -> Response:
        typed = (form.password.data, form.again.data)
        self_service.change_own_password(db, actor(), parts().hasher, account, *typed)
        web_sessions.end_others(db, account, g.web_session)
        session["stamp"] = stamp(account)
        tell("Your password was changed. Other browsers are logged out.")
        return back()

    return with_password(change, form)


@blueprint.post("/app-passwords")
@permits("account.own-mail")
def add_app_password() -> Page:
    """Make a password for a mail program; it is on the answer and nowhere else."""
    mailbox()
    form = AppPassword()

    def add(db: Session, account: Account) -> str:
        assert isinstance(account, Mailbox)  # noqa: S101 - for the type checker; `mailbox` has looked
        made = self_service.add_app_password(db, actor(), account, form.name.data)
        if parts().settings.client_host:
            return ready(account, made)
        return render_template("secrets_shown.html", secrets=[made], what="app-password", account=account)

    return with_password(add, form)


@blueprint.post("/app-passwords/<int:row_id>/delete")
@permits("account.own-mail")
def delete_app_password(row_id: int) -> Response:
    """Revoke one."""
    with database().transaction() as db:
        self_service.remove_app_password(db, actor(), mailbox(), row_id)
    tell("The app password was revoked.")
    return back()


@blueprint.post("/sessions/<int:row_id>/end")
@permits("account.own")
def end_session(row_id: int) -> Response:
    """Log one browser out."""
    with database().transaction() as db:
        web_sessions.end(db, current_account(), row_id)
    tell("That browser is logged out.")
    return back()


@blueprint.post("/sessions/end-others")
@permits("account.own")
def end_others() -> Response:
    """Log all other browsers out."""
    with database().transaction() as db:
        web_sessions.end_others(db, current_account(), g.web_session)
    tell("All other browsers are logged out.")
    return back()
