"""Many mailboxes and aliases at once, as CSV."""

from __future__ import annotations

from typing import Any

from flask import Response, request

from usermgmt.api import schemas
from usermgmt.api.access import actor, blueprint, permitted
from usermgmt.api.exchange import CSV, takes
from usermgmt.api.once import creates
from usermgmt.parts import database, parts
from usermgmt.permit import permits
from usermgmt.services import transfer

BODY = {"required": True, "content": {CSV: {"schema": {"type": "string"}}}}


@blueprint.post("/import")
@blueprint.arguments(schemas.Import, location="query")
@blueprint.doc(requestBody=BODY)
@blueprint.response(200, schemas.Imported)
@takes(CSV)
@creates
@permits("directory.import")
def import_table(query: dict[str, Any]) -> dict[str, Any]:
    """Add all lines of a table or none; without `dry_run=false` it is only tried."""
    data, dry_run = request.get_data(), query["dry_run"]
    done = transfer.import_table(database(), parts().hasher, actor(), data, dry_run)
    passwords = [{"email": email, "password": password} for email, password in done.passwords]
    return {
        "dry_run": dry_run,
        "mailboxes": done.mailboxes,
        "aliases": done.aliases,
        "passwords": passwords,
    }


@blueprint.get("/export")
@blueprint.response(200, {"type": "string"}, content_type=CSV)
@permits("directory.export")
def export_table() -> Response:
    """Mailboxes and aliases as a table that can be imported; without passwords."""
    with database().transaction() as db:
        return Response(transfer.export(db, permitted()), mimetype=CSV)
