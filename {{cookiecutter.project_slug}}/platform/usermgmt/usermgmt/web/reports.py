"""Reports of other servers: taking them in from the mail filter, and the page of what they say."""

from __future__ import annotations

import logging
from threading import BoundedSemaphore

from flask import abort, current_app, render_template, request
from flask_babel import format_date

from usermgmt.feedback.forms import Unreadable, name
from usermgmt.feedback.reader import LARGEST_MAIL, read
from usermgmt.parts import database
from usermgmt.permit import permits
from usermgmt.services import domain_reports
from usermgmt.services.domains import get_domain
from usermgmt.services.mail_reports import readable
from usermgmt.web.mail import FILTER, reports
from usermgmt.web.sessions import protected

log = logging.getLogger("usermgmt")
blueprint = protected("domain_reports", __name__)
#: One at a time in each process: the rest of the memory and of the threads is for people.
READING, WAIT_SECONDS = BoundedSemaphore(), 3
#: However long the names in them are, the page stays below 100 kB.
MOST_SHOWN = 25


@blueprint.get("/domains/<int:domain_id>/reports")
@permits("report.list")
def show(domain_id: int) -> str:
    """Who sends in a domain's name, what passes, and why not."""
    with database().transaction() as db:
        domain = get_domain(db, domain_id)
        found = domain_reports.summary(db, domain)
    return render_template(
        "reports.html",
        domain=domain,
        found=found,
        most=MOST_SHOWN,
        shown_days=domain_reports.SHOWN_DAYS,
        format_date=format_date,
    )


@reports.post("/internal/domain-reports")
def take_mail() -> tuple[str, int]:
    """A mail that may be a report, from rspamd alone: 201, it is counted; 200, it is none; 503, later."""
    forwarded = "werkzeug.proxy_fix.orig" in request.environ
    if forwarded or request.remote_addr not in current_app.extensions[FILTER]:
        abort(404)
    request.max_content_length = LARGEST_MAIL
    reporter, mail = name(request.args.get("reporter")), request.get_data()
    if not READING.acquire(timeout=WAIT_SECONDS):
        return "", 503
    try:
        found = read(mail)
        with database().transaction() as db:
            domain_reports.take(db, reporter, found)
    except Unreadable as reason:
        log.warning(
            "mail from %s to postmaster is no report and is delivered: %s", reporter, readable(reason, 200)
        )
        return "", 200
    finally:
        READING.release()
    return "", 201
