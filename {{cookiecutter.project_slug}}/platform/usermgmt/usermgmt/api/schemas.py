"""The forms of the API. A field that is not here is refused, so nothing can be set by guessing its name."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from marshmallow import RAISE, Schema, fields, validate

from usermgmt import models
from usermgmt.api.exchange import next_link
from usermgmt.quota import format_quota
from usermgmt.services.dns import STATES
from usermgmt.services.listing import Order, Part, Window
from usermgmt.services.mail_moves import place_of
from usermgmt.services.mail_reasons import in_words
from usermgmt.services.mail_reports import HELD

ADDRESS = validate.Length(max=320)
SHORT = validate.Length(max=200)
#: By what mailboxes can be sorted.
MAILBOX_ORDERS = {
    sign + name: Order(sign + name, column, bool(sign))
    for name, column in (
        ("email", models.Mailbox.email),
        ("display_name", models.Mailbox.display_name),
        ("quota", models.Mailbox.quota_bytes),
        ("created_at", models.Mailbox.created_at),
    )
    for sign in ("", "-")
}
NEXT = fields.String(
    required=True, allow_none=True, metadata={"description": "Where the list goes on, also in Link; or null."}
)


class Moment(fields.DateTime):
    """A time of the database, which is UTC without saying so."""

    def _serialize(self, value: Any, attr: str | None, obj: Any, **kwargs: Any) -> Any:
        known = value.replace(tzinfo=UTC) if isinstance(value, datetime) else value
        return super()._serialize(known, attr, obj, **kwargs)


class Strict(Schema):
    """Something that a program sends."""

    class Meta:
        unknown = RAISE


class Row(Schema):
    """What all things have."""

    id = fields.Integer(dump_only=True)
    active = fields.Boolean()
    version = fields.Integer(metadata={"description": "Also the ETag; send it back as If-Match."})


class Domain(Row):
    """A domain."""

    name = fields.String()
    created_at = Moment()
    default_quota_bytes = fields.Integer(allow_none=True)
    largest_quota_bytes = fields.Integer(
        allow_none=True, metadata={"description": "The most that the domain's own admins may give a mailbox."}
    )
    storage_bytes = fields.Integer(
        allow_none=True, metadata={"description": "The most that the quotas of all its mailboxes may be."}
    )
    most_mailboxes = fields.Integer(allow_none=True)
    most_aliases = fields.Integer(allow_none=True)


class NewDomain(Strict):
    """A domain to add."""

    name = fields.String(required=True, validate=ADDRESS)


class DomainChange(Strict):
    """What to change of a domain; null is no limit."""

    default_quota = fields.String(allow_none=True, validate=SHORT)
    largest_quota = fields.String(allow_none=True, validate=SHORT)
    storage = fields.String(allow_none=True, validate=SHORT)
    most_mailboxes = fields.Integer(allow_none=True, strict=True)
    most_aliases = fields.Integer(allow_none=True, strict=True)


class DnsRecord(Strict):
    """A record that the domain needs, and what public DNS has in its place."""

    type = fields.String(required=True, validate=validate.Length(max=8))
    name = fields.String(required=True, validate=ADDRESS)
    content = fields.String(required=True, validate=validate.Length(max=4096))
    state = fields.String(required=True, validate=validate.OneOf(STATES))
    found = fields.List(
        fields.String(validate=validate.Length(max=4096)), required=True, validate=validate.Length(max=20)
    )


class DnsLook(Strict):
    """What was found now, for each record that the domain needs."""

    records = fields.List(fields.Nested(DnsRecord), required=True, validate=validate.Length(max=200))


class DomainDns(Schema):
    """The records of a domain with what was found last; a state is empty where nobody has looked."""

    managed = fields.Boolean(metadata={"description": "Whether mailctl edge makes these records."})
    checked_at = Moment(allow_none=True)
    records = fields.List(
        fields.Nested(DnsRecord),
        allow_none=True,
        metadata={"description": "null where usermgmt cannot read edge/edge.yml."},
    )


class Mailbox(Row):
    """A mailbox."""

    email = fields.String()
    display_name = fields.String()
    quota = fields.Function(lambda row: format_quota(row.quota_bytes), metadata={"type": "string"})
    quota_bytes = fields.Integer()
    two_factor = fields.Boolean()
    created_at = Moment()
    deleted_at = Moment(allow_none=True)
    last_login_at = Moment(allow_none=True)


class NewMailbox(Strict):
    """A mailbox to add; without a password, one is generated and in the answer, this once."""

    email = fields.String(required=True, validate=ADDRESS)
    password = fields.String(load_default=None, allow_none=True, validate=SHORT)
    quota = fields.String(load_default="", validate=SHORT)
    display_name = fields.String(load_default="", validate=SHORT)


class MailboxChange(Strict):
    """What to change of a mailbox."""

    quota = fields.String(validate=SHORT)
    display_name = fields.String(validate=SHORT)


class NewPassword(Strict):
    """A password; without one, one is generated and in the answer, this once."""

    password = fields.String(load_default=None, allow_none=True, validate=SHORT)


class MailboxWithPassword(Schema):
    """A mailbox with the password that was generated for it, if one was."""

    mailbox = fields.Nested(Mailbox)
    password = fields.String(allow_none=True)


class Alias(Row):
    """One destination of an alias."""

    source = fields.String()
    destination = fields.String()
    may_send = fields.Boolean(metadata={"description": "If it is a mailbox: as the source."})
    created_at = Moment()


class NewAlias(Strict):
    """Destinations to add to an alias, which is made if there is none; `@domain` is its catch-all."""

    source = fields.String(required=True, validate=ADDRESS)
    destinations = fields.List(
        fields.String(validate=ADDRESS), required=True, validate=validate.Length(1, 100)
    )
    may_send = fields.Boolean(load_default=True)


class AliasChange(Strict):
    """What to change of one destination."""

    may_send = fields.Boolean(required=True)


class Reason(Schema):
    """What counted for or against a mail: rspamd's symbol, its points, its meaning, and rspamd's own text."""

    symbol = fields.Function(lambda row: row[0], metadata={"type": "string"})
    points = fields.Function(lambda row: row[1], metadata={"type": "number"})
    words = fields.Function(lambda row: in_words(row[0], row[2]), metadata={"type": "string"})
    detail = fields.Function(lambda row: row[2], metadata={"type": "string"})


class Mail(Schema):
    """A mail to or from one mailbox here, without its content."""

    id = fields.Integer()
    at = Moment()
    outcome = fields.String(validate=validate.OneOf((*HELD, "accepted")))
    outbound = fields.Boolean()
    sender = fields.String()
    recipient = fields.String()
    mailbox_id = fields.Integer(allow_none=True, metadata={"description": "Null: it had none here."})
    subject = fields.String()
    size = fields.Integer()
    score = fields.Float()
    threshold = fields.Float()
    reasons = fields.List(fields.Nested(Reason))
    folder = fields.Function(place_of, metadata={"type": "string", "enum": ["inbox", "junk", ""]})


class MailList(Schema):
    """A page of mail, and whether there is another one."""

    page = fields.Integer(required=True)
    more = fields.Boolean(required=True)
    next = NEXT
    items = fields.List(fields.Nested(Mail), required=True)


ROLES = validate.OneOf((models.OWNER, models.DOMAIN_ADMIN))
DOMAINS = validate.Length(max=200)


class Admin(Row):
    """A person who administers: an owner everything, a domain-admin some domains."""

    email = fields.String()
    role = fields.String(validate=ROLES)
    domains = fields.Function(
        lambda row: [domain.name for domain in row.domains],
        metadata={"type": "array", "items": {"type": "string"}},
    )
    created_at = Moment()


class NewAdmin(NewPassword):
    """An admin to add; without a password, one is generated and in the answer, this once."""

    email = fields.String(required=True, validate=ADDRESS)
    role = fields.String(load_default=models.OWNER, validate=ROLES)
    domains = fields.List(fields.String(validate=ADDRESS), load_default=list, validate=DOMAINS)


class AdminChange(Strict):
    """What an admin may do, and where."""

    role = fields.String(required=True, validate=ROLES)
    domains = fields.List(fields.String(validate=ADDRESS), load_default=list, validate=DOMAINS)


class AdminWithPassword(Schema):
    """An admin with the password that was generated, if one was."""

    admin = fields.Nested(Admin)
    password = fields.String(allow_none=True)


class AuditEntry(Schema):
    """Who did what to which subject."""

    id = fields.Integer()
    at = Moment()
    actor = fields.String()
    action = fields.String()
    subject = fields.String()
    detail = fields.Dict()
    client_address = fields.String()


class Import(Schema):
    """Whether to do it; without this it is only tried."""

    dry_run = fields.Boolean(load_default=True)


class Generated(Schema):
    """A password that was generated, in this answer and nowhere else."""

    email = fields.String()
    password = fields.String()


class Imported(Schema):
    """What was added, or would be."""

    dry_run = fields.Boolean()
    mailboxes = fields.Integer()
    aliases = fields.Integer()
    passwords = fields.List(fields.Nested(Generated))


class Page(Schema):
    """Which part of a list is wanted."""

    limit = fields.Integer(
        load_default=50, validate=validate.Range(1, 500), metadata={"description": "The rows of a part."}
    )
    cursor = fields.String(
        load_default="",
        validate=validate.Length(max=2000),
        metadata={"description": "The part after this one: what `next` says."},
    )
    page = fields.Integer(
        load_default=1,
        validate=validate.Range(1, 1_000_000),
        metadata={"deprecated": True, "description": "Moves when rows are added: use cursor."},
    )
    q = fields.String(load_default="", validate=ADDRESS, metadata={"description": "Text anywhere in it."})
    exact = fields.Boolean(load_default=False, metadata={"description": "Only the one whose address is q."})


class MailboxPage(Page):
    """Of mailboxes, also the deleted ones that can be restored."""

    deleted = fields.Boolean(load_default=False)
    domain = fields.String(load_default="", validate=ADDRESS)
    active = fields.Boolean(load_default=None, metadata={"description": "Only enabled or disabled ones."})
    sort = fields.String(
        load_default="email",
        validate=validate.OneOf(MAILBOX_ORDERS),
        metadata={"description": "With - in front: the other way round."},
    )


class MailPage(Page):
    """Of mail; without an outcome, what was not delivered as usual."""

    class Meta:
        exclude = ("exact",)

    outcome = fields.String(load_default="", validate=validate.OneOf(("", *HELD, "accepted", "all")))


class AuditPage(Page):
    """Of the audit log."""

    class Meta:
        exclude = ("exact",)

    action = fields.String(load_default="", validate=validate.Length(max=64))


def listed(inner: type[Schema]) -> Schema:
    """The form of a part of a list, and how many rows there are in all."""
    numbers = {name: fields.Integer(required=True) for name in ("total", "page", "pages")}
    items = fields.List(fields.Nested(inner), required=True)
    return Schema.from_dict({**numbers, "next": NEXT, "items": items}, name=f"{inner.__name__}List")()


Listed = tuple[dict[str, Any], dict[str, str]]


def part_of(part: Part, query: dict[str, Any]) -> Listed:
    """A part of a list, in that form, with the link to the next one."""
    pages = max(1, -(-part.total // query["limit"]))
    following = next_link(part.next)
    body = {"total": part.total, "page": query["page"], "pages": pages, "next": following, "items": part.rows}
    return body, {"Link": f'<{following}>; rel="next"'} if following else {}


def window(query: dict[str, Any]) -> Window:
    """Which part the query asks for."""
    return Window(query["limit"], query["page"], query["cursor"])
