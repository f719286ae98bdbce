"""Looks for what somebody else did in the bucket: objects, versions and delete markers not of this host."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime
from typing import Any

from mailctl.backup.offsite import copies
from mailctl.backup.offsite.access import Unreachable
from mailctl.backup.offsite.objects import Bucket, now
from mailctl.backup.offsite.record import Put, Record
from mailctl.core.errors import Problem, Refused

THREADS = 8
REPAIR = "docs/backups.md#somebody-else-changed-the-copies; then: make sync ARGS=--repair"
# What was there when this host began to note what it sends.
FOUND = Put("", "", "")


def look(bucket: Bucket, record: Record, there: dict[str, dict[str, Any]]) -> dict[str, Problem]:
    """What is not as this host left it, by name. Reads no content: one HEAD for each object.

    What it finds at the very first time counts as it is: there is nothing to compare with.
    """
    known = record.names()
    if not known:
        record.adopt(there)
        known = list(there)
    wrong = {name: "this host did not write it" for name in there.keys() - set(known)}
    for name in set(known) - there.keys():
        put = record[name]
        if put and put.version and put.until and datetime.fromisoformat(put.until) > now():
            wrong[name] = "is hidden by a delete marker: it is locked, so nobody can have deleted it"
        else:
            record.forget(name)  # its lock had ended: expired, or pruned; or a killed run has not sent it
    asked = heads(bucket, [name for name in known if name in there])
    wrong |= {name: why for name, head in asked if (why := _judged(bucket, record, name, head))}
    return {name: Problem(name, wrong[name], REPAIR) for name in sorted(wrong)}


def heads(bucket: Bucket, names: list[str]) -> Iterator[tuple[str, dict[str, Any] | None]]:
    """What S3 says of each object. Raises Refused when the key may look at none."""

    def head(name: str) -> tuple[str, dict[str, Any] | None]:
        return name, bucket.head(name)

    with ThreadPoolExecutor(THREADS) as pool:
        seen = False
        for name, said in pool.map(head, names):
            seen = seen or said is not None
            yield name, said
    if names and not seen:
        wrong = "the key may list objects and look at none of them"
        raise Unreachable(
            Problem("S3", wrong, "terraform apply in terraform/s3-backup", value=bucket.place.uri)
        )


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
