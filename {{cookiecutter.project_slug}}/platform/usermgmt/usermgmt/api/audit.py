"""The audit log, to read."""

from __future__ import annotations

from typing import Any

from usermgmt.api import schemas
from usermgmt.api.access import blueprint, permitted
from usermgmt.parts import database
from usermgmt.permit import permits
from usermgmt.services import audit_search


@blueprint.get("/audit")
@blueprint.arguments(schemas.AuditPage, location="query")
@blueprint.response(200, schemas.listed(schemas.AuditEntry))
@permits("audit.list")
def list_audit(query: dict[str, Any]) -> dict[str, Any]:
    """A page of it, newest first."""
    with database().transaction() as db:
        rows, total = audit_search.find(db, query["q"], query["action"], query["page"], permitted())
    return schemas.page_of(rows, total, query["page"])
