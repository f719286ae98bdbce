"""Allowed and blocked senders."""

from __future__ import annotations

from typing import Any

from flask import g
from marshmallow import Schema, fields, validate

from usermgmt.api import schemas
from usermgmt.api.access import actor, blueprint, created
from usermgmt.api.once import creates
from usermgmt.models import SenderRule
from usermgmt.parts import database
from usermgmt.permissions import own_senders
from usermgmt.permit import permits
from usermgmt.services import senders

WHOSE = "An address or a domain of this server; empty: the whole server."
PATTERN = "An address, a domain, or *.domain for it and all below it."


class Sender(Schema):
    """An entry of a list."""

    id = fields.Integer()
    sender = fields.String(attribute="pattern", metadata={"description": PATTERN})
    kind = fields.String(validate=validate.OneOf(senders.KINDS))
    applies_to = fields.String(metadata={"description": WHOSE})
    note = fields.String()
    created_by = fields.String()
    created_at = schemas.Moment()


class NewSender(schemas.Strict):
    """A sender to allow or block; one that is in the list already is changed."""

    sender = fields.String(required=True, validate=schemas.ADDRESS, metadata={"description": PATTERN})
    kind = fields.String(required=True, validate=validate.OneOf(senders.KINDS))
    applies_to = fields.String(load_default="", validate=schemas.ADDRESS, metadata={"description": WHOSE})
    note = fields.String(load_default="", validate=validate.Length(max=senders.LONGEST_NOTE))


@blueprint.get("/senders")
@blueprint.arguments(schemas.Page, location="query")
@blueprint.response(200, schemas.listed(Sender))
@permits("sender.list")
def list_senders(query: dict[str, Any]) -> schemas.Listed:
    """Some of all lists, by sender."""
    own = own_senders(g.account, g.token)
    with database().transaction() as db:
        found = senders.find(db, own, query["q"], schemas.window(query), query["exact"])
        return schemas.part_of(found, query)


@blueprint.post("/senders")
@blueprint.arguments(NewSender)
@blueprint.response(201, Sender)
@creates
@permits("sender.add")
def add_sender(body: dict[str, Any]) -> tuple[SenderRule, dict[str, str]]:
    """Allow or block a sender."""
    with database().transaction() as db:
        owner = senders.owner_named(db, actor(), body["applies_to"])
        rule = senders.set_rule(db, actor(), owner, body["sender"], body["kind"], body["note"])
    return rule, created(f"/senders/{rule.id}")


@blueprint.get("/senders/<int:rule_id>")
@blueprint.response(200, Sender)
@permits("sender.list")
def get_sender(rule_id: int) -> SenderRule:
    """One entry."""
    with database().transaction() as db:
        return senders.get_rule(db, rule_id)


@blueprint.delete("/senders/<int:rule_id>")
@blueprint.response(204)
@permits("sender.delete")
def delete_sender(rule_id: int) -> None:
    """Remove an entry."""
    with database().transaction() as db:
        senders.remove_rule(db, actor(), rule_id)
