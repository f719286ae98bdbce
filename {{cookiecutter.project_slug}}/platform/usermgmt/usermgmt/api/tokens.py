"""Tokens, for the command line alone: a program that could make one could give itself everything."""

from __future__ import annotations

from typing import Any

from marshmallow import Schema, fields, validate
from sqlalchemy import select

from usermgmt.api import schemas
from usermgmt.api.access import actor, blueprint, created
from usermgmt.api.once import creates
from usermgmt.models import ApiToken
from usermgmt.parts import database
from usermgmt.permit import permits
from usermgmt.services import tokens
from usermgmt.services.listing import Order, part
from usermgmt.services.mailboxes import contains


class Token(Schema):
    """What a token may do, and whose it is; never the token itself."""

    id = fields.Integer()
    name = fields.String()
    admin = fields.Pluck(schemas.Admin, "email")
    domain = fields.Pluck(schemas.Domain, "name", allow_none=True, metadata={"description": "null: all."})
    scopes = fields.Function(
        lambda row: row.scopes.split(), metadata={"type": "array", "items": {"type": "string"}}
    )
    created_at = schemas.Moment()
    expires_at = schemas.Moment(allow_none=True)
    last_used_at = schemas.Moment(allow_none=True)


class NewToken(schemas.Strict):
    """A token to make: it may do no more than its admin, and ends with them."""

    name = fields.String(required=True, validate=schemas.SHORT)
    admin = fields.String(required=True, validate=schemas.ADDRESS)
    scopes = fields.List(
        fields.String(validate=schemas.SHORT), required=True, validate=validate.Length(max=50)
    )
    domain = fields.String(
        load_default="", validate=schemas.ADDRESS, metadata={"description": "Empty: all of the admin's."}
    )
    days = fields.String(
        load_default="", validate=schemas.SHORT, metadata={"description": "Empty: until it is revoked."}
    )


class MadeToken(Schema):
    """A token with its secret, in this answer and nowhere else."""

    token = fields.Nested(Token)
    secret = fields.String()


class TokenPage(schemas.Page):
    """Of tokens, which have no address."""

    class Meta:
        exclude = ("exact",)


@blueprint.get("/tokens")
@blueprint.arguments(TokenPage, location="query")
@blueprint.response(200, schemas.listed(Token))
@permits("token.manage")
def list_tokens(query: dict[str, Any]) -> schemas.Listed:
    """Some of the tokens, by name."""
    ids = select(ApiToken.id).where(ApiToken.name.like(contains(query["q"]), escape="\\"))
    with database().transaction() as db:
        return schemas.part_of(part(db, ids, Order("name", ApiToken.name), schemas.window(query)), query)


@blueprint.post("/tokens")
@blueprint.arguments(NewToken)
@blueprint.response(201, MadeToken)
@creates
@permits("token.manage")
def add_token(body: dict[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
    """Make a token of an admin."""
    with database().transaction() as db:
        admin = tokens.admin_named(db, body["admin"])
        about = (body["name"], body["scopes"], body["domain"], body["days"])
        secret, token = tokens.make_token(db, actor(), admin, *about)
    return {"token": token, "secret": secret}, created(f"/tokens/{token.id}")


@blueprint.get("/tokens/<int:token_id>")
@blueprint.response(200, Token)
@permits("token.manage")
def get_token(token_id: int) -> ApiToken:
    """One token."""
    with database().transaction() as db:
        return tokens.get_token(db, token_id)


@blueprint.delete("/tokens/<int:token_id>")
@blueprint.response(204)
@permits("token.manage")
def revoke_token(token_id: int) -> None:
    """End a token at once."""
    with database().transaction() as db:
        tokens.revoke_token(db, actor(), token_id)
