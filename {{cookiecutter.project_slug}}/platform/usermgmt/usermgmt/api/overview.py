"""Figures of mail, storage and the server, and how full one mailbox is."""

from __future__ import annotations

from typing import Any

from marshmallow import Schema, fields

from usermgmt.api import schemas
from usermgmt.api.access import blueprint, permitted
from usermgmt.models import Mailbox
from usermgmt.parts import database, parts
from usermgmt.permit import permits
from usermgmt.services import host_news, mail_counts, overview
from usermgmt.services.mailboxes import get_mailbox


class Counted(Schema):
    """The mails of a day or a month (UTC)."""

    starts = fields.Date()
    counts = fields.Dict(fields.String(), fields.Integer())


class Stored(Schema):
    """A mailbox, or the mailboxes of a domain, when the host last measured."""

    name = fields.String()
    used_bytes = fields.Integer(attribute="used")
    quota_bytes = fields.Integer(attribute="quota")
    mailboxes = fields.Integer()


class Figures(Schema):
    """As the overview; `server` is for who may see all domains, and None before its first report."""

    days = fields.List(fields.Nested(Counted))
    months = fields.List(fields.Nested(Counted))
    domains = fields.List(fields.Nested(Stored))
    fullest = fields.List(fields.Nested(Stored))
    full = fields.Integer()
    measured_at = schemas.Moment(allow_none=True)
    server = fields.Nested(host_news.State, allow_none=True)
    server_at = schemas.Moment(allow_none=True)


class Used(Schema):
    """What a mailbox holds: as Dovecot says now, else as the host last measured; None: not known."""

    used_bytes = fields.Integer(allow_none=True)
    quota_bytes = fields.Integer()


@blueprint.get("/overview")
@blueprint.response(200, Figures)
@permits("overview.list")
def get_overview() -> dict[str, Any]:
    """How much mail there was, who stores most, and how the server is."""
    scope = permitted()
    with database().transaction() as db:
        mail, stored, news = mail_counts.history(db, scope), overview.storage(db, scope), host_news.latest(db)
    return {
        "days": mail[mail_counts.DAY],
        "months": mail[mail_counts.MONTH],
        "domains": stored.domains,
        "fullest": stored.fullest,
        "full": stored.full,
        "measured_at": stored.at,
        "server": host_news.State().load(news.document) if news and scope is None else None,
        "server_at": news.at if news else None,
    }


@blueprint.get("/mailboxes/<int:mailbox_id>/usage")
@blueprint.response(200, Used)
@permits("mailbox.list")
def get_usage(mailbox_id: int) -> dict[str, Any]:
    """How full a mailbox is."""
    with database().transaction() as db:
        mailbox: Mailbox = get_mailbox(db, mailbox_id)
        measured = overview.usage_of(db, mailbox)
    used = parts().usage.of([mailbox.email]).get(mailbox.email, measured)
    return {"used_bytes": used, "quota_bytes": mailbox.quota_bytes}
