"""Aliases: each destination of one is a row."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from sqlalchemy import select

from usermgmt.api import schemas
from usermgmt.api.access import actor, blueprint, created, expect, permitted, tagged
from usermgmt.api.once import creates
from usermgmt.models import Alias
from usermgmt.parts import database
from usermgmt.permit import permits
from usermgmt.services import aliases
from usermgmt.services.listing import Order, named, part, within
from usermgmt.services.mailboxes import address_holds

Found = tuple[Alias, dict[str, str]]


@blueprint.get("/aliases")
@blueprint.arguments(schemas.Page, location="query")
@blueprint.response(200, schemas.listed(schemas.Alias))
@permits("alias.list")
def list_aliases(query: dict[str, Any]) -> schemas.Listed:
    """Some of the destinations, those of an alias one after another; `q` may be in either address."""
    text, ids = query["q"], named(Alias.source, query["q"])
    if not query["exact"]:
        ids = select(Alias.id).where(
            address_holds(Alias.source, text) | address_holds(Alias.destination, text)
        )
    ids = within(ids, Alias.domain_id, permitted())
    with database().transaction() as db:
        return schemas.part_of(part(db, ids, Order("source", Alias.source), schemas.window(query)), query)


@blueprint.post("/aliases")
@blueprint.arguments(schemas.NewAlias)
@blueprint.response(201, schemas.Alias(many=True))
@creates
@permits("alias.add")
def add_alias(body: dict[str, Any]) -> tuple[list[Alias], dict[str, str]]:
    """Forward mail of an address, or of the rest of a domain; Location lists all its destinations."""
    with database().transaction() as db:
        rows = aliases.add_alias(
            db, actor(), body["source"], "\n".join(body["destinations"]), may_send=body["may_send"]
        )
    return rows, created(f"/aliases?{urlencode({'q': rows[0].source, 'exact': 'true'})}")


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
