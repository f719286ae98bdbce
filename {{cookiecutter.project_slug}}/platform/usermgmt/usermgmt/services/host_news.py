"""What the host's monitor reports every five minutes, kept for the overview."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

from marshmallow import EXCLUDE, Schema, ValidationError, fields, validate
from sqlalchemy import delete, insert, select
from sqlalchemy.orm import Session

from usermgmt.models import HostNews, Mailbox, MailboxUsage, utc_now
from usermgmt.problems import Problem, Refused

STATE, USAGE = "state", "usage"
#: The monitor reports every five minutes; what is older says nothing about now.
FRESH = timedelta(minutes=15)
CRITICAL, WARNING = "critical", "warning"
#: Deliveries are counted by how long they took: up to so many seconds each, and longer.
DELIVERY_SECONDS = (10, 60, 600, 3600)
WHOLE = validate.Range(min=0)


class Lenient(Schema):
    """mailctl may be newer than this service: what is not known is left out."""

    class Meta:
        """How unknown fields are treated."""

        unknown = EXCLUDE


class Incident(Lenient):
    """Something that is wrong, in the monitor's words; `since` in epoch seconds, as all its times."""

    id = fields.String(required=True)
    severity = fields.String(required=True, validate=validate.OneOf((CRITICAL, WARNING)))
    title = fields.String(required=True)
    text = fields.String(load_default="")
    fix = fields.String(load_default="")
    since = fields.Float(required=True)


class Queue(Lenient):
    """What waits in Postfix's queue."""

    waiting = fields.Integer(required=True, validate=WHOLE)
    deferred = fields.Integer(required=True, validate=WHOLE)
    held = fields.Integer(required=True, validate=WHOLE)
    oldest_at = fields.Float(load_default=None, allow_none=True)


class Job(Lenient):
    """A backup, an upload or a drill: when it last ended well (None: never)."""

    what = fields.String(required=True)
    at = fields.Float(required=True, allow_none=True)
    late = fields.Boolean(required=True)
    failed = fields.Boolean(required=True)


class Probe(Lenient):
    """The last test mail out and back in."""

    at = fields.Float(required=True)
    ok = fields.Boolean(required=True)
    seconds = fields.Float(load_default=None, allow_none=True)


class Disk(Lenient):
    """A file system; `percent` of its bytes or inodes are used, whichever is more."""

    name = fields.String(required=True)
    percent = fields.Integer(required=True, validate=WHOLE)
    free_bytes = fields.Integer(required=True, validate=WHOLE)


class Deliveries(Lenient):
    """How many deliveries of a day (UTC) took how long, by DELIVERY_SECONDS, and how many had to wait."""

    day = fields.Date(required=True)
    seconds = fields.List(
        fields.Integer(validate=WHOLE),
        required=True,
        validate=validate.Length(equal=len(DELIVERY_SECONDS) + 1),
    )
    deferred = fields.Integer(required=True, validate=WHOLE)


class State(Lenient):
    """All of it; None is what the host could not find out."""

    incidents = fields.List(fields.Nested(Incident), required=True)
    services = fields.Integer(load_default=None, allow_none=True)
    healthy = fields.Integer(load_default=None, allow_none=True)
    queue = fields.Nested(Queue, load_default=None, allow_none=True)
    jobs = fields.List(fields.Nested(Job), load_default=list)
    probe = fields.Nested(Probe, load_default=None, allow_none=True)
    certificate_days = fields.Integer(load_default=None, allow_none=True)
    disks = fields.List(fields.Nested(Disk), load_default=list)
    deliveries = fields.List(fields.Nested(Deliveries), load_default=list)
    #: Bytes by address, once an hour; empty in between.
    usage = fields.Dict(fields.String(), fields.Integer(validate=WHOLE), load_default=dict, load_only=True)


def keep(session: Session, text: str) -> None:
    """Keep a report in place of the last one. Raises Refused: it is none, and nothing is changed."""
    try:
        found: dict[str, Any] = State().load(json.loads(text))
    except (ValueError, ValidationError) as error:
        wrong, fix = (
            "This is not the report of a monitor: {said}",
            "Update mailctl and usermgmt to one version.",
        )
        raise Refused(Problem("report", text[:60], wrong, fix, {"said": str(error)[:300]})) from error
    usage = found.pop("usage")
    session.merge(HostNews(name=STATE, at=utc_now(), document=json.loads(State().dumps(found))))
    if usage:
        ids = {email: number for email, number in session.execute(select(Mailbox.email, Mailbox.id))}
        rows = [{"mailbox_id": ids[each], "used_bytes": used} for each, used in usage.items() if each in ids]
        session.execute(delete(MailboxUsage))
        if rows:
            session.execute(insert(MailboxUsage), rows)
        session.merge(HostNews(name=USAGE, at=utc_now(), document={}))


def latest(session: Session) -> HostNews | None:
    """The last report; None before the first."""
    return session.get(HostNews, STATE)


def is_old(news: HostNews) -> bool:
    """Whether the host has gone silent."""
    return utc_now() - news.at > FRESH
