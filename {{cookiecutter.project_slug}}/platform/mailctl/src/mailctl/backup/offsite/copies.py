"""The copies in S3: which there are, and which one is meant, whatever somebody else has put over it."""

import re
from collections.abc import Iterator
from datetime import datetime
from io import BytesIO
from itertools import groupby
from operator import itemgetter
from typing import Any

from mailctl.backup.offsite.access import LATEST
from mailctl.backup.offsite.objects import Bucket
from mailctl.backup.offsite.remote import Remote, remote
from mailctl.core.errors import Problem, Refused

LAST = "/manifest.json"
UNSIGNED = (
    "use another one; or add the line `# signed by: …` to the owner's key file (make backup-key ARGS=--signer"
    " on the host shows it); --unsigned takes what anybody may have put there"
)


def manifests(there: dict[str, dict[str, Any]]) -> list[str]:
    """The keys of the copies among the objects of a place, the one that was uploaded last at the end."""
    # Times in S3 are whole seconds.
    return sorted(filter(_age, there), key=lambda key: (there[key]["LastModified"], _age(key)))


def read(bucket: Bucket, key: str, version: str | None = None) -> Remote:
    """The manifest under a key. Raises Refused."""
    text = BytesIO()
    bucket.get(key, text, version)
    return remote(text.getvalue(), key, bucket.signers)


def chosen(
    bucket: Bucket, id: str, version: str | None, before: datetime | None, unsigned: bool
) -> tuple[Remote, list[Problem]]:
    """The manifest of `id` or of the latest copy, and what was passed over: unsigned or no manifest.

    `before` goes by S3's own clock: what was uploaded later does not count, whoever signed it. Raises
    Refused.
    """
    passed: list[Problem] = []
    for key, versions in groupby(_candidates(bucket, id, version, before), key=itemgetter(0)):
        good = []
        for _, each in versions:
            try:
                found = read(bucket, key, each)
            except Refused as refusal:
                passed += refusal.problems
                continue
            if found.signed or unsigned:
                good.append(found)
            else:
                wrong = "is not signed by a key that counts here, so anybody may have made it"
                passed.append(Problem(key, wrong, UNSIGNED, value=each))
        if good:  # an older one may have been put over a newer one
            return max(good, key=lambda one: datetime.fromisoformat(one.uploaded)), passed
    when = f" that was uploaded before {before:%Y-%m-%d %H:%M} UTC" if before else ""
    wrong = f"there is no copy of {'any snapshot' if id == LATEST else id}{when}"
    fix = "name a later time" if before else "check BACKUP_BUCKET and BACKUP_PREFIX in .env"
    none = Problem("S3", wrong, fix, value=bucket.place.uri)
    raise Refused(*(passed or [none]))


def _candidates(
    bucket: Bucket, id: str, version: str | None, before: datetime | None
) -> Iterator[tuple[str, str | None]]:
    """Keys and versions of manifests, the best first; hidden ones too, where versions may be listed."""
    from botocore.exceptions import ClientError

    if version:
        yield f"{id}{LAST}", version
        return
    found: list[tuple[tuple[str, bool] | tuple[()], datetime, str | None]] = []
    below = ("daily/", "weekly/") if id == LATEST else (f"{id}{LAST}",)
    try:
        for each in (each for prefix in below for each in bucket.versions(prefix)):
            key = each["Key"].removeprefix(bucket.place.prefix)
            found.append((_age(key), each["LastModified"], each["VersionId"]))
    except ClientError:  # the host's own key may not list versions
        objects = {key: each for prefix in below for key, each in bucket.objects(prefix).items()}
        found = [(_age(key), each["LastModified"], None) for key, each in objects.items()]
    for age, at, which in sorted(found, key=lambda one: one[:2], reverse=True):
        if age and (before is None or at < before):
            yield f"{'daily' if age[1] else 'weekly'}/{age[0]}{LAST}", which


def _age(key: str) -> tuple[str, bool] | tuple[()]:
    """Date and whether it is a daily one; nothing for what is no key of a copy."""
    found = re.fullmatch(r"(daily|weekly)/(\d{4}-\d\d-\d\d)" + LAST, key)
    return (found[2], found[1] == "daily") if found else ()
