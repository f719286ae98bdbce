"""What the host's monitor reports every five minutes, kept for the overview."""

from __future__ import annotations

import json
from datetime import UTC, timedelta
from hashlib import sha256
from typing import Any

from marshmallow import EXCLUDE, Schema, ValidationError, fields, validate
from sqlalchemy import delete, insert, select, true
from sqlalchemy.orm import Session

from usermgmt.models import HostNews, Mailbox, MailboxUsage, utc_now
from usermgmt.problems import Problem, Refused

STATE, USAGE = "state", "usage"
#: Of several hosts what each says of itself: a mark, and digits of its name's hash. A key has 16 letters.
OF_HOST = "@"
#: The monitor reports every five minutes; what is older says nothing about now.
FRESH = timedelta(minutes=15)
CRITICAL, WARNING = "critical", "warning"
#: Deliveries are counted by how long they took: up to so many seconds each, and longer.
DELIVERY_SECONDS = (10, 60, 600, 3600)
Fields = dict[str, Any]
WHOLE = validate.Range(min=0)
NUMBER = fields.Integer(required=True, validate=WHOLE)
TEXT = fields.String(required=True)
TIME = fields.Float(required=True)
TIME_OR_NONE = fields.Float(load_default=None, allow_none=True)
NUMBER_OR_NONE = fields.Integer(load_default=None, allow_none=True)


class Lenient(Schema):
    """mailctl may be newer than this service: what is not known is left out. Times are epoch seconds."""

    class Meta:
        """How unknown fields are treated."""

        unknown = EXCLUDE


#: The counts of a day are one for each of DELIVERY_SECONDS, and one for what took longer.
COUNTS = fields.List(NUMBER, required=True, validate=validate.Length(equal=len(DELIVERY_SECONDS) + 1))
WORDS = fields.String(load_default="")
SEVERITY = fields.String(required=True, validate=validate.OneOf((CRITICAL, WARNING)))
INCIDENT: Fields = {
    "id": TEXT,
    "severity": SEVERITY,
    "title": TEXT,
    "text": WORDS,
    "fix": WORDS,
    "since": TIME,
}
QUEUE: Fields = {"waiting": NUMBER, "deferred": NUMBER, "held": NUMBER, "oldest_at": TIME_OR_NONE}
FLAG = fields.Boolean(required=True)
JOB: Fields = {"what": TEXT, "at": TIME_OR_NONE, "late": FLAG, "failed": FLAG}
PROBE: Fields = {"at": TIME, "ok": FLAG, "seconds": TIME_OR_NONE}
DISK: Fields = {"name": TEXT, "percent": NUMBER, "free_bytes": NUMBER}
DELIVERIES: Fields = {"day": fields.Date(required=True), "seconds": COUNTS, "deferred": NUMBER}

HOST: Fields = {"name": TEXT, "member": WORDS, "copied_at": TIME_OR_NONE}

FORWARDS: Fields = {"recipient": TEXT, "destination": TEXT, "reason": TEXT, "count": NUMBER, "at": TIME}


def part(name: str, each: Fields) -> Any:
    """A part of the report; None is what the host could not find out."""
    return fields.Nested(Lenient.from_dict(each, name=name), load_default=None, allow_none=True)


def parts(name: str, each: Fields, **more: Any) -> Any:
    """A list of such parts."""
    return fields.List(fields.Nested(Lenient.from_dict(each, name=name)), **(more or {"load_default": list}))


class State(Lenient):
    """All of a report."""

    incidents = parts("HostIncident", INCIDENT, required=True)
    services = NUMBER_OR_NONE
    healthy = NUMBER_OR_NONE
    queue = part("HostQueue", QUEUE)
    jobs = parts("HostJob", JOB)
    probe = part("HostProbe", PROBE)
    certificate_days = NUMBER_OR_NONE
    disks = parts("HostDisk", DISK)
    deliveries = parts("HostDeliveries", DELIVERIES)
    #: What could not be forwarded outside in the last days.
    forwards = parts("HostForwards", FORWARDS)
    #: Bytes by address, once an hour; empty in between.
    usage = fields.Dict(fields.String(), NUMBER, load_default=dict, load_only=True)
    #: Of several hosts: whose mailboxes these are; and whether this host speaks for all, or says only this.
    shard = fields.String(load_default="", load_only=True)
    whole = fields.Boolean(load_default=True, load_only=True)
    host = part("HostItself", HOST)


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
    usage, shard = found.pop("usage"), found.pop("shard")
    if host := found.pop("host"):
        session.merge(HostNews(name=_of_host(host["name"]), at=utc_now(), document=host))
    if found.pop("whole"):
        session.merge(HostNews(name=STATE, at=utc_now(), document=json.loads(State().dumps(found))))
    if usage:
        ids = {email: number for email, number in session.execute(select(Mailbox.email, Mailbox.id))}
        rows = [{"mailbox_id": ids[each], "used_bytes": used} for each, used in usage.items() if each in ids]
        held = select(Mailbox.id).where(Mailbox.shard == shard)
        those = MailboxUsage.mailbox_id.in_(held) if shard else true()
        session.execute(
            delete(MailboxUsage).where(
                those | MailboxUsage.mailbox_id.in_([row["mailbox_id"] for row in rows])
            )
        )
        if rows:
            session.execute(insert(MailboxUsage), rows)
        session.merge(HostNews(name=USAGE, at=utc_now(), document={}))


def latest(session: Session) -> HostNews | None:
    """The last report; None before the first."""
    return session.get(HostNews, STATE)


def _of_host(name: str) -> str:
    return f"{OF_HOST}{sha256(name.encode()).hexdigest()[:15]}"


def of_hosts(session: Session) -> dict[str, Any]:
    """What each of several hosts last said of itself, and when (epoch seconds)."""
    rows = session.scalars(select(HostNews).where(HostNews.name.startswith(OF_HOST)))
    return {
        row.document["name"]: {**row.document, "at": row.at.replace(tzinfo=UTC).timestamp()} for row in rows
    }


def is_old(news: HostNews) -> bool:
    """Whether the host has gone silent."""
    return utc_now() - news.at > FRESH
