"""Reads back what S3 says of every object that a copy needs: there, the right bytes, locked long enough."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from mailctl.backup.offsite import watch
from mailctl.backup.offsite.access import Unreachable
from mailctl.backup.offsite.copies import manifests, read
from mailctl.backup.offsite.objects import Bucket, Entry
from mailctl.backup.offsite.record import Record
from mailctl.backup.offsite.remote import Remote
from mailctl.backup.offsite.upload import Progress
from mailctl.core.errors import Problem, Refused

GONE = "is not there, or a delete marker hides it"


@dataclass
class Findings:
    """The copies that were looked at, how many objects they need, and what is wrong, by name."""

    copies: list[str] = field(default_factory=list)
    needed: dict[str, tuple[Entry, datetime]] = field(default_factory=dict)
    wrong: dict[str, Problem] = field(default_factory=dict)

    @property
    def problems(self) -> list[Problem]:
        return list(self.wrong.values())

    @property
    def bytes(self) -> int:
        return sum(entry.size for entry, _ in self.needed.values())


def verify(bucket: Bucket, record: Record | None = None, progress: Progress = lambda *_: None) -> Findings:
    """Compare all copies with S3's own words, and with what this host has sent. Reads no content of mails.

    A copy from before there were signatures is good when it was there before this host began to note.
    """
    findings, there = Findings(), bucket.objects("")
    if record:
        findings.wrong = watch.look(bucket, record, there)
    for key in manifests(there):
        try:
            found = read(bucket, key)
        except Unreachable:
            raise
        except Refused as refusal:
            findings.wrong.setdefault(key, refusal.problems[0])
            continue
        put = record[key] if record else None
        if not found.signed and not (put and put.was_there):
            if put is None or put.sum:  # else a stranger's, and known
                wrong = "is not signed by a key that counts here: restore does not take it"
                findings.wrong.setdefault(key, Problem(key, wrong, watch.REPAIR))
            continue
        findings.copies.append(found.id)
        _need(findings.needed, found)
    listed = [f"data/{name}" for name in findings.needed if f"data/{name}" in there]
    for number, (name, head) in enumerate(watch.heads(bucket, listed), 1):
        _judge(findings, name, head)
        progress("looking", number, len(listed))
    for name in findings.needed:
        if f"data/{name}" not in there:
            findings.wrong.setdefault(f"data/{name}", Problem(f"data/{name}", GONE, watch.REPAIR))
    return findings


def _need(needed: dict[str, tuple[Entry, datetime]], found: Remote) -> None:
    """Each object must be locked until the last copy that needs it has been there for the bucket's lock."""
    least = datetime.fromisoformat(found.uploaded) + timedelta(days=found.lock_days)
    for name, entry in found.objects.items():
        _, before = needed.get(name, (entry, least))
        needed[name] = entry, max(before, least)


def _judge(findings: Findings, name: str, head: dict[str, Any] | None) -> None:
    entry, least = findings.needed[name.removeprefix("data/")]
    if wrong := GONE if head is None else _differs(head, entry, least):
        findings.wrong.setdefault(name, Problem(name, wrong, watch.REPAIR))


def _differs(head: dict[str, Any], entry: Entry, least: datetime) -> str:
    until = head.get("ObjectLockRetainUntilDate")
    if head["ContentLength"] != entry.size:
        return f"has {head['ContentLength']} bytes instead of {entry.size}"
    if head.get("ChecksumSHA256") != entry.sum:
        return "has another checksum: it was overwritten; the version before is still there"
    if head.get("ObjectLockMode") != "COMPLIANCE" or not isinstance(until, datetime):
        return "is not locked"
    if until < least:
        return f"is locked until {until:%Y-%m-%d}, and a snapshot needs it until {least:%Y-%m-%d}"
    return ""
