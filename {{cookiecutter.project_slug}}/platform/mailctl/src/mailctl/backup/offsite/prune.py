"""Removes data from S3 that no copy names any more. Only an administrator may; the host's own key cannot."""

from dataclasses import dataclass

from mailctl.backup.offsite.copies import manifests, read
from mailctl.backup.offsite.objects import Bucket, Progress, now
from mailctl.core.aws import explained
from mailctl.core.errors import Problem, Refused

WHO = "sign in as an administrator of the bucket: .venv/bin/mailctl sync --prune --profile NAME"


@dataclass
class Pruned:
    """How many objects were removed, their bytes, and how many are not needed but still locked."""

    removed: int = 0
    bytes: int = 0
    locked: int = 0


def prune(bucket: Bucket, progress: Progress = lambda *_: None) -> Pruned:
    """Delete each object below data/ that no manifest names and whose lock has ended.

    Raises Refused, before anything is deleted, when there is no manifest or one cannot be read: then nobody
    knows what is needed. What a running upload has just sent is locked, so it stays.
    """
    there = bucket.objects("")
    keys = manifests(there)
    if not keys:
        wrong = "there is no copy here, so nothing says what is needed"
        raise Refused(Problem("S3", wrong, "check BACKUP_PREFIX in .env", value=bucket.place.uri))
    needed = {name for key in keys for name in read(bucket, key).objects}
    spare = {
        name: each["Size"]
        for name, each in there.items()
        if name.startswith("data/") and name.removeprefix("data/") not in needed
    }
    found = Pruned()
    for number, (name, size) in enumerate(spare.items(), 1):
        if remove(bucket, name):
            found.removed, found.bytes = found.removed + 1, found.bytes + size
        else:
            found.locked += 1
        progress("removing", number, len(spare))
    return found


def remove(bucket: Bucket, name: str) -> bool:
    """Delete the newest version for good; False when it is locked. Raises Refused when the key may not."""
    head = bucket.head(name) or {}
    until = head.get("ObjectLockRetainUntilDate")
    if until and until > now():
        return False
    with explained(f"removing {name}; {WHO}"):
        key = f"{bucket.place.prefix}{name}"
        bucket.s3.delete_object(Bucket=bucket.place.bucket, Key=key, VersionId=head.get("VersionId", "null"))
    return True
