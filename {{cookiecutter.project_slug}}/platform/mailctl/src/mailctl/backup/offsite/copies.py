"""The copies in S3: their manifests, which there are, and which is meant, whatever lies over it."""

import builtins
import json
import os
import re
from collections.abc import Iterator
from dataclasses import asdict, astuple, dataclass, field
from datetime import datetime
from io import BytesIO
from itertools import groupby
from operator import itemgetter
from typing import Any

from mailctl.backup.offsite.objects import Bucket, Entry
from mailctl.core import aws, signing
from mailctl.core.context import Context
from mailctl.core.errors import Misuse, Problem, Refused

LAST, LATEST = "/manifest.json", "latest"
_URI = re.compile(
    r"(?:s3://(?P<bucket>[^/]+)/(?P<prefix>(?:[^/?]+/)*?))?"
    r"(?P<id>latest|(?:daily|weekly)/\d{4}-\d\d-\d\d)/?(?:\?versionId=(?P<version>.+))?"
)
UNSIGNED = (
    "use another one; or add the line `# signed by: …` to the owner's key file (make backup-key ARGS=--signer"
    " on the host shows it); --unsigned takes what anybody may have put there"
)


@dataclass(frozen=True)
class Remote:
    """The manifest in S3. `objects` is everything that the snapshot needs, packs and indexes, by name.

    `snapshot` is the SHA-256 of the manifest.json inside; times are ISO 8601 in UTC. Each of
    `recipients` opens all of it. `signed`: by a key that counts here. `body`: as it was read.
    """

    id: str
    snapshot: str
    taken: str
    uploaded: str
    lock_days: int
    bytes: int
    chain: list[str]
    objects: dict[str, Entry]
    recipients: list[str] = field(default_factory=list)
    signed: bool = False
    body: builtins.bytes = b""

    def text(self) -> builtins.bytes:
        document = {"version": 2, **asdict(self)}
        del document["signed"], document["body"]
        document["objects"] = {name: astuple(entry) for name, entry in self.objects.items()}
        return (json.dumps(document) + "\n").encode()


def remote(body: bytes, key: str, signers: list[str]) -> Remote:
    """Parse a manifest. Raises Refused when it is none, or that of another snapshot."""
    text, signed = signing.split(body, signers)
    try:
        document = json.loads(text)
        if document.pop("version") not in (1, 2):
            raise ValueError("its version is neither 1 nor 2")
        objects = {name: Entry(*entry) for name, entry in document.pop("objects").items()}
        found = Remote(objects=objects, **{**document, "signed": signed, "body": body})
        if f"{found.id}{LAST}" != key:
            raise ValueError(f"it is that of {found.id}")
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        fix = "use another snapshot or version: .venv/bin/mailctl sync --list --versions"
        raise Refused(Problem(key, f"is no manifest of a copy: {error}", fix)) from None
    return found


def parse(context: Context, uri: str) -> tuple[aws.Place, str, str | None]:
    """Bucket, snapshot id (or "latest") and version of s3://bucket/prefix/daily/2026-11-26[?versionId=…].

    Without bucket, as in daily/2026-11-26, the settings say where. Raises Misuse.
    """
    found = _URI.fullmatch(uri)
    if not found:
        fix = "write s3://BUCKET/PREFIX/daily/2026-11-26, s3://BUCKET/PREFIX/latest, or just latest"
        raise Misuse(Problem("snapshot", "is not the address of one", fix, value=uri))
    if not found["bucket"]:
        return aws.place(context), found["id"], found["version"]
    region = context.setting("BACKUP_REGION") or os.environ.get("AWS_REGION") or "us-east-1"
    return aws.Place(found["bucket"], found["prefix"], region), found["id"], found["version"]


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
