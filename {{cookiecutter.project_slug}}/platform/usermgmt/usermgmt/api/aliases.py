"""Aliases: each destination of one is a row."""

from __future__ import annotations

from typing import Any

from usermgmt.api import schemas
from usermgmt.api.access import actor, blueprint, expect, permitted, tagged
from usermgmt.models import Alias
from usermgmt.parts import database
from usermgmt.permit import permits
from usermgmt.services import aliases
from usermgmt.services.directory import exactly

Found = tuple[Alias, dict[str, str]]


@blueprint.get("/aliases")
@blueprint.arguments(schemas.Page, location="query")
@blueprint.response(200, schemas.listed(schemas.Alias))
@permits("alias.list")
def list_aliases(query: dict[str, Any]) -> dict[str, Any]:
    """A page of 50 sources with all their destinations; `total` counts sources."""
    with database().transaction() as db:
        if query["exact"]:
            found = exactly(db, Alias.source, query["q"], permitted())
            return schemas.page_of(found, min(len(found), 1), 1)
        rows, total = aliases.list_aliases(db, query["q"], query["page"], permitted())
    items = [alias for row in rows for alias in row.destinations]
    return schemas.page_of(items, total, query["page"])


@blueprint.post("/aliases")
@blueprint.arguments(schemas.NewAlias)
@blueprint.response(201, schemas.Alias(many=True))
@permits("alias.add")
def add_alias(body: dict[str, Any]) -> list[Alias]:
    """Forward mail of an address, or of the rest of a domain."""
    with database().transaction() as db:
        return aliases.add_alias(
            db, actor(), body["source"], "\n".join(body["destinations"]), may_send=body["may_send"]
        )


@blueprint.get("/aliases/<int:alias_id>")
@blueprint.response(200, schemas.Alias)
@permits("alias.list")
def get_alias(alias_id: int) -> Found:
    """One destination."""
    with database().transaction() as db:
        alias = aliases.get_alias(db, alias_id)
    return alias, tagged(alias.version)


@blueprint.patch("/aliases/<int:alias_id>")
@blueprint.arguments(schemas.AliasChange)
@blueprint.response(200, schemas.Alias)
@permits("alias.switch")
def change_alias(body: dict[str, Any], alias_id: int) -> Found:
    """Let this destination, if it is a mailbox, send as the source, or not."""
    with database().transaction() as db:
        alias = aliases.get_alias(db, alias_id)
        expect(alias.version, alias.source)
        aliases.set_alias_may_send(db, actor(), alias_id, body["may_send"])
    return alias, tagged(alias.version)


def switch(alias_id: int, active: bool) -> Found:
    """Enable or disable."""
    with database().transaction() as db:
        alias = aliases.get_alias(db, alias_id)
        expect(alias.version, alias.source)
        aliases.set_alias_active(db, actor(), alias_id, active)
    return alias, tagged(alias.version)


@blueprint.post("/aliases/<int:alias_id>/enable")
@blueprint.response(200, schemas.Alias)
@permits("alias.switch")
def enable_alias(alias_id: int) -> Found:
    """Forward to this destination again."""
    return switch(alias_id, True)


@blueprint.post("/aliases/<int:alias_id>/disable")
@blueprint.response(200, schemas.Alias)
@permits("alias.switch")
def disable_alias(alias_id: int) -> Found:
    """Forward to this destination no more."""
    return switch(alias_id, False)


@blueprint.delete("/aliases/<int:alias_id>")
@blueprint.response(204)
@permits("alias.delete")
def delete_alias(alias_id: int) -> None:
    """Delete one destination."""
    with database().transaction() as db:
        alias = aliases.get_alias(db, alias_id)
        expect(alias.version, alias.source)
        aliases.delete_alias(db, actor(), alias_id)
