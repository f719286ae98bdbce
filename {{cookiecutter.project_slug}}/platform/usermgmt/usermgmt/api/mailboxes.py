"""Mailboxes."""

from __future__ import annotations

from typing import Any

from usermgmt.api import schemas
from usermgmt.api.access import actor, blueprint, created, expect, permitted, tagged
from usermgmt.api.once import creates
from usermgmt.models import Mailbox
from usermgmt.parts import database, parts
from usermgmt.passwords import generate_password
from usermgmt.permit import permits
from usermgmt.quota import format_quota
from usermgmt.services import mailboxes, removal
from usermgmt.services.listing import named, part, within

Found = tuple[Mailbox, dict[str, str]]
FoundWithPassword = tuple[dict[str, Any], dict[str, str]]


@blueprint.get("/mailboxes")
@blueprint.arguments(schemas.MailboxPage, location="query")
@blueprint.response(200, schemas.listed(schemas.Mailbox))
@permits("mailbox.list")
def list_mailboxes(query: dict[str, Any]) -> schemas.Listed:
    """Some of the mailboxes."""
    ids = mailboxes.matching("" if query["exact"] else query["q"], query["deleted"], permitted())
    ids = ids.where(Mailbox.id.in_(named(Mailbox.email, query["q"]))) if query["exact"] else ids
    ids = within(ids, Mailbox.domain_id, None, query["domain"])
    ids = ids if query["active"] is None else ids.where(Mailbox.active == query["active"])
    order = schemas.MAILBOX_ORDERS[query["sort"]]
    with database().transaction() as db:
        return schemas.part_of(part(db, ids, order, schemas.window(query)), query)


def with_password(mailbox: Mailbox, password: str | None) -> FoundWithPassword:
    """The mailbox, and its password if it was generated here."""
    return {"mailbox": mailbox, "password": password}, tagged(mailbox.version)


@blueprint.post("/mailboxes")
@blueprint.arguments(schemas.NewMailbox)
@blueprint.response(201, schemas.MailboxWithPassword)
@creates
@permits("mailbox.add")
def add_mailbox(body: dict[str, Any]) -> FoundWithPassword:
    """Create a mailbox."""
    generated = generate_password() if body["password"] is None else None
    new = mailboxes.prepare_mailbox(
        parts().hasher, body["email"], generated or body["password"], body["quota"], body["display_name"]
    )
    with database().transaction() as db:
        mailbox = mailboxes.add_prepared(db, actor(), new)
    body, _ = with_password(mailbox, generated)
    return body, created(f"/mailboxes/{mailbox.id}", mailbox.version)


@blueprint.get("/mailboxes/<int:mailbox_id>")
@blueprint.response(200, schemas.Mailbox)
@permits("mailbox.list")
def get_mailbox(mailbox_id: int) -> Found:
    """One mailbox."""
    with database().transaction() as db:
        mailbox = mailboxes.get_mailbox(db, mailbox_id)
    return mailbox, tagged(mailbox.version)


@blueprint.patch("/mailboxes/<int:mailbox_id>")
@blueprint.arguments(schemas.MailboxChange)
@blueprint.response(200, schemas.Mailbox)
@permits("mailbox.change")
def change_mailbox(body: dict[str, Any], mailbox_id: int) -> Found:
    """Change quota and name; what is left out stays."""
    with database().transaction() as db:
        mailbox = mailboxes.get_mailbox(db, mailbox_id)
        expect(mailbox.version, mailbox.email)
        quota = body.get("quota", format_quota(mailbox.quota_bytes))
        name = body.get("display_name", mailbox.display_name)
        mailboxes.change_details(db, actor(), mailbox_id, quota, name)
    return mailbox, tagged(mailbox.version)


@blueprint.post("/mailboxes/<int:mailbox_id>/password")
@blueprint.arguments(schemas.NewPassword)
@blueprint.response(200, schemas.MailboxWithPassword)
@permits("mailbox.password")
def set_mailbox_password(body: dict[str, Any], mailbox_id: int) -> FoundWithPassword:
    """Set a new password; the old one and every open session end."""
    generated = generate_password() if body["password"] is None else None
    with database().transaction() as db:
        mailbox = mailboxes.get_mailbox(db, mailbox_id)
        expect(mailbox.version, mailbox.email)
        password = generated or body["password"]
        mailboxes.change_password(db, actor(), parts().hasher, mailbox_id, password)
    return with_password(mailbox, generated)


def switch(mailbox_id: int, active: bool) -> Found:
    """Enable or disable."""
    with database().transaction() as db:
        mailbox = mailboxes.get_mailbox(db, mailbox_id)
        expect(mailbox.version, mailbox.email)
        mailboxes.set_mailbox_active(db, actor(), mailbox_id, active)
    return mailbox, tagged(mailbox.version)


@blueprint.post("/mailboxes/<int:mailbox_id>/enable")
@blueprint.response(200, schemas.Mailbox)
@permits("mailbox.switch")
def enable_mailbox(mailbox_id: int) -> Found:
    """Let it receive and log in again."""
    return switch(mailbox_id, True)


@blueprint.post("/mailboxes/<int:mailbox_id>/disable")
@blueprint.response(200, schemas.Mailbox)
@permits("mailbox.switch")
def disable_mailbox(mailbox_id: int) -> Found:
    """Refuse its mail and its log-ins; its mail stays."""
    return switch(mailbox_id, False)


@blueprint.delete("/mailboxes/<int:mailbox_id>")
@blueprint.response(204)
@permits("mailbox.delete")
def delete_mailbox(mailbox_id: int) -> None:
    """Delete a mailbox; for 30 days it can be restored."""
    with database().transaction() as db:
        mailbox = mailboxes.get_mailbox(db, mailbox_id)
        expect(mailbox.version, mailbox.email)
        removal.delete_mailbox(db, actor(), mailbox_id)


@blueprint.post("/mailboxes/<int:mailbox_id>/restore")
@blueprint.response(200, schemas.Mailbox)
@permits("mailbox.delete")
def restore_mailbox(mailbox_id: int) -> Found:
    """Undo that it was deleted, with its mail."""
    with database().transaction() as db:
        mailbox = removal.restore_mailbox(db, actor(), mailbox_id)
    return mailbox, tagged(mailbox.version)


@blueprint.post("/mailboxes/<int:mailbox_id>/erase")
@blueprint.response(204)
@permits("mailbox.delete")
def erase_mailbox(mailbox_id: int) -> None:
    """Delete a deleted mailbox for good: its address is free, its mail on disk stays."""
    with database().transaction() as db:
        removal.erase_mailbox(db, actor(), mailbox_id)
