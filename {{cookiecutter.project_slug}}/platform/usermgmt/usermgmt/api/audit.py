"""The audit log, to read."""

from __future__ import annotations

from typing import Any

from usermgmt.api import schemas
from usermgmt.api.access import blueprint, permitted
from usermgmt.models import AuditEntry
from usermgmt.parts import database
from usermgmt.permit import permits
from usermgmt.services import audit_search
from usermgmt.services.listing import Order, part


@blueprint.get("/audit")
@blueprint.arguments(schemas.AuditPage, location="query")
@blueprint.response(200, schemas.listed(schemas.AuditEntry))
@permits("audit.list")
def list_audit(query: dict[str, Any]) -> schemas.Listed:
    """Some of it, newest first."""
    ids = audit_search.matching(query["q"], query["action"], permitted()).with_only_columns(AuditEntry.id)
    with database().transaction() as db:
        newest = Order("newest", AuditEntry.id, True)
        return schemas.part_of(part(db, ids, newest, schemas.window(query)), query)
