"""The page of the audit log."""

from __future__ import annotations

from flask import Response, render_template, request

from usermgmt.parts import database
from usermgmt.permit import permits
from usermgmt.services import audit_search
from usermgmt.services.mailboxes import PAGE
from usermgmt.web.context import page_number, permitted
from usermgmt.web.overview import ACTIONS
from usermgmt.web.sessions import protected

blueprint = protected("audit", __name__)


def wanted() -> tuple[str, str]:
    """What is asked for: a text, and a kind of action."""
    return request.args.get("q", "")[:320], request.args.get("action", "")[:64]


@blueprint.get("/audit")
@permits("audit.list")
def show() -> str:
    """A page of it, newest first."""
    (search, action), number = wanted(), page_number()
    with database().transaction() as db:
        rows, total = audit_search.find(db, search, action, number, permitted())
    return render_template(
        "audit.html",
        rows=rows,
        total=total,
        search=search,
        action=action,
        actions=ACTIONS,
        page=number,
        pages=max(1, -(-total // PAGE)),
    )


@blueprint.get("/audit.csv")
@permits("audit.list")
def export() -> Response:
    """The same as a table."""
    with database().transaction() as db:
        table = audit_search.export(db, *wanted(), permitted())
    return Response(
        table, mimetype="text/csv", headers={"Content-Disposition": 'attachment; filename="audit.csv"'}
    )
