"""Reads back what S3 says of every object that a copy needs: there, the right bytes, locked long enough."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from mailctl.backup.offsite.access import Unreachable
from mailctl.backup.offsite.index import Remote
from mailctl.backup.offsite.objects import Bucket, Entry
from mailctl.backup.offsite.upload import Progress, manifests, read
from mailctl.core.errors import Problem, Refused

AGAIN = "make sync copies what is missing; older versions: .venv/bin/mailctl sync --list --versions"


@dataclass
class Findings:
    """The copies that were looked at, how many objects they need, and what is wrong."""

    copies: list[str] = field(default_factory=list)
    objects: int = 0
    bytes: int = 0
    problems: list[Problem] = field(default_factory=list)


def verify(bucket: Bucket, progress: Progress = lambda *_: None) -> Findings:
    """Compare all copies with S3's own words. Changes nothing and reads no content."""
    findings = Findings()
    needed: dict[str, tuple[Entry, datetime]] = {}
    for key in manifests(bucket):
        try:
            found = read(bucket, key)
        except Refused as refusal:
            findings.problems += refusal.problems
            continue
        findings.copies.append(found.id)
        _need(needed, found)

    for number, (name, (entry, least)) in enumerate(needed.items(), 1):
        try:
            findings.problems += _judge(bucket.head(f"data/{name}"), name, entry, least)
        except Unreachable:
            raise
        except Refused as refusal:
            findings.problems += refusal.problems
        progress("looking", number, len(needed))
    findings.objects, findings.bytes = len(needed), sum(entry.size for entry, _ in needed.values())
    return findings


def _need(needed: dict[str, tuple[Entry, datetime]], found: Remote) -> None:
    """Each object must be locked until the last copy that needs it has been there for the bucket's lock."""
    least = datetime.fromisoformat(found.uploaded) + timedelta(days=found.lock_days)
    for name, entry in found.objects.items():
        _, before = needed.get(name, (entry, least))
        needed[name] = entry, max(before, least)


def _judge(head: dict[str, object], name: str, entry: Entry, least: datetime) -> list[Problem]:
    wrong = []
    if head["ContentLength"] != entry.size:
        wrong.append(f"has {head['ContentLength']} bytes instead of {entry.size}")
    elif head.get("ChecksumSHA256") != entry.sum:
        wrong.append("has another checksum: it was overwritten; the version before is still there")
    until = head.get("ObjectLockRetainUntilDate")
    if head.get("ObjectLockMode") != "COMPLIANCE" or not isinstance(until, datetime):
        wrong.append("is not locked")
    elif until < least:
        wrong.append(f"is locked until {until:%Y-%m-%d}, and a snapshot needs it until {least:%Y-%m-%d}")
    return [Problem(f"data/{name}", text, AGAIN) for text in wrong]
