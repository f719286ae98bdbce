"""What happened to each mail, and moving it between inbox and Junk."""

from __future__ import annotations

import logging
from typing import Any

from flask import Response, g

from usermgmt import problem_json
from usermgmt.api import schemas
from usermgmt.api.access import actor, blueprint
from usermgmt.mail.doveadm import Unreachable
from usermgmt.models import MailReport
from usermgmt.parts import database, parts
from usermgmt.permissions import own_mail
from usermgmt.permit import permits
from usermgmt.services import mail_moves, mail_reports
from usermgmt.services.listing import Order, part

log = logging.getLogger("usermgmt")


@blueprint.get("/mail")
@blueprint.arguments(schemas.MailPage, location="query")
@blueprint.response(200, schemas.MailList)
@permits("mail.list")
def list_mail(query: dict[str, Any]) -> schemas.Listed:
    """Some of the mail of the last 14 days, newest first; the rows are not counted."""
    ids = mail_reports.matching(own_mail(g.account, g.token), query["q"], query["outcome"])
    with database().transaction() as db:
        found = part(db, ids, Order("newest", MailReport.at, True), schemas.window(query), count=False)
    body, headers = schemas.part_of(found, query)
    return body | {"more": bool(found.next)}, headers


@blueprint.get("/mail/<int:report_id>")
@blueprint.response(200, schemas.Mail)
@permits("mail.list")
def get_mail(report_id: int) -> MailReport:
    """One mail."""
    with database().transaction() as db:
        return mail_reports.get_report(db, report_id)


def move(report_id: int, target: str) -> MailReport:
    """Move it; the filter learns from that."""
    with database().transaction() as db:
        report = mail_reports.get_report(db, report_id)
    return mail_moves.move(database(), parts().settings.doveadm, actor(), report, target)


@blueprint.post("/mail/<int:report_id>/not-spam")
@blueprint.response(200, schemas.Mail)
@permits("mail.move")
def release_mail(report_id: int) -> MailReport:
    """Move a mail from Junk to the inbox; the filter learns that it is no spam."""
    return move(report_id, "inbox")


@blueprint.post("/mail/<int:report_id>/spam")
@blueprint.response(200, schemas.Mail)
@permits("mail.move")
def junk_mail(report_id: int) -> MailReport:
    """Move a mail from the inbox to Junk; the filter learns that it is spam."""
    return move(report_id, "junk")


@blueprint.errorhandler(Unreachable)
def unreachable(error: Unreachable) -> Response:
    """Dovecot is down: nothing was moved."""
    log.error("a mail cannot be moved: %s", error)
    return problem_json.answer(503)
