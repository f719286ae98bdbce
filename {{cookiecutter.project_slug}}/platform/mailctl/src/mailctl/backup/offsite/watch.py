"""Looks at what S3 has: whether all that the copies need is there and locked, and what somebody else did."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from mailctl.backup.offsite import copies
from mailctl.backup.offsite.objects import Bucket, Entry, Progress, now
from mailctl.backup.offsite.working import Put, Record
from mailctl.core.aws import Unreachable
from mailctl.core.errors import Problem, Refused

THREADS = 8
REPAIR = "docs/backups.md#somebody-else-changed-the-copies; then: make sync ARGS=--repair"
GONE = "is not there, or a delete marker hides it"
# What was there when this host began to note what it sends.
FOUND = Put("", "", "")


@dataclass
class Findings:
    """The copies that were looked at, the objects they need and until when, and what is wrong, by name."""

    copies: list[str] = field(default_factory=list)
    needed: dict[str, tuple[Entry, datetime]] = field(default_factory=dict)
    wrong: dict[str, Problem] = field(default_factory=dict)

    @property
    def problems(self) -> list[Problem]:
        return list(self.wrong.values())

    @property
    def bytes(self) -> int:
        return sum(entry.size for entry, _ in self.needed.values())

    def note(self, name: str, wrong: str) -> None:
        """What is wrong with an object, if anything is; the first counts."""
        if wrong:
            self.wrong.setdefault(name, Problem(name, wrong, REPAIR))


def look(bucket: Bucket, record: Record, there: dict[str, dict[str, Any]]) -> Findings:
    """What is not as this host left it. Reads no content: one HEAD for each object."""
    found = Findings()
    for _ in _look(found, bucket, record, there, lambda *_: None):
        pass
    return found


def verify(bucket: Bucket, record: Record | None = None, progress: Progress = lambda *_: None) -> Findings:
    """Compare all copies with S3's own words, and with what this host has sent. Reads no content of mails.

    A copy from before there were signatures is good when it was there before this host began to note.
    """
    found, there = Findings(), bucket.objects("")
    said = dict(_look(found, bucket, record, there, progress)) if record else {}
    for key in copies.manifests(there):
        _copy(found, bucket, record, key)
    names = [f"data/{name}" for name in found.needed]
    said |= _heads(bucket, [name for name in names if name in there and name not in said], progress)
    for name, (entry, least) in zip(names, found.needed.values(), strict=True):
        head = said.get(name)
        found.note(name, _differs(head, entry, least) if head else GONE)
    return found


def _look(
    found: Findings, bucket: Bucket, record: Record, there: dict[str, dict[str, Any]], progress: Progress
) -> Iterator[tuple[str, dict[str, Any] | None]]:
    """Note what is not as this host left it, and yield what S3 says of each object.

    What is there at the very first time counts as it is: there is nothing to compare with.
    """
    known = record.names()
    if not known:
        record.adopt(there)
        known = list(there)
    for name in sorted(there.keys() - set(known)):
        found.note(name, "this host did not write it")
    for name in sorted(set(known) - there.keys()):
        put = record[name]
        if put and put.version and put.until and datetime.fromisoformat(put.until) > now():
            found.note(name, "is hidden by a delete marker: it is locked, so nobody can have deleted it")
        else:
            record.forget(name)  # its lock had ended: expired, or pruned; or a killed run has not sent it
    for name, head in _heads(bucket, [name for name in known if name in there], progress):
        found.note(name, _judged(bucket, record, name, head))
        yield name, head


def _copy(found: Findings, bucket: Bucket, record: Record | None, key: str) -> None:
    """What a copy needs: each object locked until the last copy has been there for the bucket's lock."""
    try:
        copy = copies.read(bucket, key)
    except Unreachable:
        raise
    except Refused as refusal:
        found.wrong.setdefault(key, refusal.problems[0])
        return
    put = record[key] if record else None
    if not copy.signed and not (put and put.was_there):
        if put is None or put.sum:  # else a stranger's, and known
            found.note(key, "is not signed by a key that counts here: restore does not take it")
        return
    found.copies.append(copy.id)
    least = datetime.fromisoformat(copy.uploaded) + timedelta(days=copy.lock_days)
    for name, entry in copy.objects.items():
        _, before = found.needed.get(name, (entry, least))
        found.needed[name] = entry, max(before, least)


def _heads(
    bucket: Bucket, names: list[str], progress: Progress
) -> Iterator[tuple[str, dict[str, Any] | None]]:
    """What S3 says of each object. Raises Refused when the key may look at none."""
    seen = False
    with ThreadPoolExecutor(THREADS) as pool:
        for number, (name, said) in enumerate(zip(names, pool.map(bucket.head, names), strict=True), 1):
            seen = seen or said is not None
            progress("looking", number, len(names))
            yield name, said
    if names and not seen:
        wrong = "the key may list objects and look at none of them"
        raise Unreachable(
            Problem("S3", wrong, "terraform apply in terraform/s3-backup", value=bucket.place.uri)
        )


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


def _judged(bucket: Bucket, record: Record, name: str, head: dict[str, Any] | None) -> str:
    """What is wrong with the newest version of an object; "": nothing."""
    put = record[name]
    if head is None or put is None:
        return "cannot be looked at: it was hidden a moment ago"
    sum, version = head.get("ChecksumSHA256", ""), head["VersionId"]
    if put == FOUND:
        record[name] = Put(sum, version, "")
        return ""
    if put.version == version:
        return ""
    if not put.version and (put.sum == sum or _own_manifest(bucket, name)):
        record[name] = replace(put, sum=sum, version=version)  # of a run that was killed once it had sent it
        return ""
    content = "the same content" if put.sum == sum else "other content"
    return (
        f"another version with {content} lies over this host's: {version}, {head['LastModified']:%F %T} UTC"
    )


def _own_manifest(bucket: Bucket, name: str) -> bool:
    """Whether this is a manifest of ours: that from before, as the run was killed before it sent the next."""
    try:
        return name.endswith(copies.LAST) and copies.read(bucket, name).signed
    except Unreachable:
        raise
    except Refused:
        return False
