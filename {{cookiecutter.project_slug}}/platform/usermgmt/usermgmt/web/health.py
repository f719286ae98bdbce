"""Is the process alive, and can it do its work now?"""

from __future__ import annotations

from flask import Blueprint, Response, jsonify

from usermgmt.parts import database

blueprint = Blueprint("health", __name__)


@blueprint.get("/health")
def health() -> Response:
    """200 as long as the process answers."""
    return jsonify(status="alive")


@blueprint.get("/ready")
def ready() -> tuple[Response, int]:
    """200 if the database answers and has its schema, else 503 and why (no stranger asks)."""
    if why := database().hindrance():
        return jsonify(status="waiting", reason=f"the database does not answer: {why}"), 503
    return jsonify(status="ready"), 200
