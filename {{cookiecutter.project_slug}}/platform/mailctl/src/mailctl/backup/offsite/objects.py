"""Objects in S3: put with checksums that S3 verifies, in parts that survive a break; read back, locked."""

import base64
import hashlib
import io
import math
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO

from mailctl.core.aws import Place, explained
from mailctl.core.errors import Problem, Refused

PART = 8 * 1024 * 1024
MOST_PARTS = 10_000
MOST_TEXT = 64 * 1024 * 1024  # of a manifest: a terabyte has about 3 MB

Progress = Callable[[str, int, int], None]
"""Told what is being done, and how many bytes of how many are done."""


@dataclass(frozen=True)
class Entry:
    """An object as a manifest names it: bytes, S3's own checksum of it, locked until (ISO 8601)."""

    size: int
    sum: str
    until: str


def part_size(size: int) -> int:
    """Bytes a part, so that `size` fits into the number of parts that S3 takes."""
    return max(PART, math.ceil(size / MOST_PARTS))


def checksum(file: BinaryIO, size: int) -> str:
    """What S3 will say of `file`: its SHA-256; of an upload in parts that of all parts', and their number."""
    step = part_size(size)
    sums = [hashlib.sha256(file.read(step)).digest() for _ in range(max(1, math.ceil(size / step)))]
    if size <= step:
        return _text(sums[0])
    return f"{_text(hashlib.sha256(b''.join(sums)).digest())}-{len(sums)}"


@dataclass
class Bucket:
    """One place in S3, whose signatures count there, and the limit of the way there in bytes/s (0: none)."""

    s3: Any
    place: Place
    limit: int = 0
    signers: list[str] = field(default_factory=list)
    sent: int = 0
    _due: float = field(default_factory=time.monotonic)

    def put(
        self,
        name: str,
        path: Path,
        entry: Entry,
        resume: str | None = None,
        begun: Callable[[str], None] = lambda _: None,
    ) -> str:
        """Upload the file as data/NAME, under COMPLIANCE lock until `entry.until`; large ones in parts.

        Returns the id of the version that this made.

        `resume` is the id of an upload that was broken off; `begun` is told the id of a new one, to be kept.
        """
        where = {"Bucket": self.place.bucket, "Key": f"{self.place.prefix}data/{name}"}
        until = datetime.fromisoformat(entry.until)
        lock = {"ObjectLockMode": "COMPLIANCE", "ObjectLockRetainUntilDate": until}
        with explained(f"uploading {name}"), path.open("rb") as file:
            if entry.size <= part_size(entry.size):
                made = self._send(self.s3.put_object, file.read(), **where, **lock)
                return self._confirm(name, entry, made)
            upload, there = resume, self._parts(where, resume) if resume else None
            if upload is None or there is None:
                kind = {"ChecksumAlgorithm": "SHA256", "ChecksumType": "COMPOSITE"}
                upload, there = str(self.s3.create_multipart_upload(**where, **lock, **kind)["UploadId"]), {}
                begun(upload)
            parts = list(self._send_parts(file, entry.size, {**where, "UploadId": upload}, there))
            whole = {"MultipartUpload": {"Parts": parts}, "ChecksumType": "COMPOSITE"}
            made = self.s3.complete_multipart_upload(**where, UploadId=upload, **whole)
        return self._confirm(name, entry, made)

    def _confirm(self, name: str, entry: Entry, made: dict[str, Any]) -> str:
        """See that S3 has the bytes that were sent, and locks them for as long as was asked."""
        found, until = self.head(f"data/{name}") or {}, datetime.fromisoformat(entry.until)
        if (found.get("ContentLength"), found.get("ChecksumSHA256")) != (entry.size, entry.sum):
            wrong = "S3 has other bytes than were sent"
            raise Refused(Problem("upload", wrong, "run the command again", value=name))
        if found.get("ObjectLockMode") != "COMPLIANCE" or found["ObjectLockRetainUntilDate"] < until:
            self.lock(name, until, made["VersionId"])
        return str(made["VersionId"])

    def put_text(self, name: str, text: bytes) -> str:
        """Upload a small object under the bucket's own lock; the id of its version."""
        key = f"{self.place.prefix}{name}"
        with explained(f"uploading {name}"):
            return str(self._send(self.s3.put_object, text, Bucket=self.place.bucket, Key=key)["VersionId"])

    def _parts(self, where: dict[str, str], upload: str) -> dict[int, dict[str, Any]] | None:
        """The parts that S3 has of a broken upload; None when it no longer knows it."""
        from botocore.exceptions import ClientError

        try:
            pages = self.s3.get_paginator("list_parts").paginate(**where, UploadId=upload)
            return {part["PartNumber"]: part for page in pages for part in page.get("Parts", [])}
        except ClientError as error:
            if error.response["Error"]["Code"] == "NoSuchUpload":
                return None
            raise

    def _send_parts(
        self, file: BinaryIO, size: int, where: dict[str, str], there: dict[int, dict[str, Any]]
    ) -> Iterator[dict[str, Any]]:
        for number in range(1, math.ceil(size / part_size(size)) + 1):
            body = file.read(part_size(size))
            sum = _text(hashlib.sha256(body).digest())
            had = there.get(number)
            if had and had["Size"] == len(body) and had.get("ChecksumSHA256", sum) == sum:
                tag = had["ETag"]
            else:
                tag = self._send(self.s3.upload_part, body, PartNumber=number, **where)["ETag"]
            yield {"PartNumber": number, "ETag": tag, "ChecksumSHA256": sum}

    def _send(self, call: Callable[..., Any], body: bytes, **arguments: Any) -> Any:
        """One request with a body. S3 refuses it when the checksum does not fit what arrived."""
        sum = _text(hashlib.sha256(body).digest())
        given = {"ChecksumAlgorithm": "SHA256", "ChecksumSHA256": sum}
        answer = call(Body=_Throttled(self, body) if self.limit else body, **given, **arguments)
        self.sent += len(body)
        return answer

    def wait(self, amount: int) -> None:
        """Wait until `amount` more bytes are due at the limit."""
        now = time.monotonic()
        self._due = max(self._due, now) + amount / self.limit
        threading.Event().wait(self._due - now)

    def head(self, name: str) -> dict[str, Any] | None:
        """What S3 says of an object: size, checksum and lock, without its bytes; None: there is none.

        Who may not list gets 403 for what is not there (docs.aws.amazon.com, HeadObject, permissions).
        """
        from botocore.exceptions import ClientError

        with explained(f"looking at {name}"):
            where = {"Bucket": self.place.bucket, "Key": f"{self.place.prefix}{name}"}
            try:
                said: dict[str, Any] = self.s3.head_object(**where, ChecksumMode="ENABLED")
            except ClientError as error:
                if error.response["Error"]["Code"] not in ("403", "404"):
                    raise
                return None
            return said

    def get(self, name: str, target: BinaryIO, version: str | None = None, most: int = MOST_TEXT) -> str:
        """Stream an object of at most so many bytes into `target`; its SHA-256. Raises Refused."""
        which = {"VersionId": version} if version else {}
        digest = hashlib.sha256()
        with explained(f"reading {name}"):
            key = f"{self.place.prefix}{name}"
            found = self.s3.get_object(Bucket=self.place.bucket, Key=key, **which)
            if found["ContentLength"] > most:
                wrong = f"has {found['ContentLength']} bytes, {most} at most belong there: it was overwritten"
                raise Refused(Problem("S3", wrong, _OTHER, value=name))
            for block in found["Body"].iter_chunks(1024 * 1024):
                digest.update(block)
                target.write(block)
        return digest.hexdigest()

    def get_data(self, name: str, target: BinaryIO, size: int) -> None:
        """Stream data/NAME into `target`; an older version if the newest is hidden or not what NAME says."""
        refusal = Refused(Problem("S3", "has other content than its name says", _OTHER, value=name))
        for version in self._versions(f"data/{name}"):
            target.seek(0)
            target.truncate()
            try:
                if self.get(f"data/{name}", target, version, size) == name:
                    return
            except Refused as error:
                refusal = error
        raise refusal

    def _versions(self, name: str) -> Iterator[str | None]:
        """None for the newest, then every version, where the key may list them (the host's may not)."""
        from botocore.exceptions import BotoCoreError, ClientError

        yield None
        try:
            yield from (each["VersionId"] for each in self.versions(name))
        except (ClientError, BotoCoreError):
            return

    def versions(self, prefix: str) -> Iterator[dict[str, Any]]:
        """Every version below a prefix, hidden ones too, newest first. Raises what boto3 raises."""
        pages = self.s3.get_paginator("list_object_versions")
        for page in pages.paginate(Bucket=self.place.bucket, Prefix=f"{self.place.prefix}{prefix}"):
            yield from page.get("Versions", [])

    def objects(self, prefix: str) -> dict[str, dict[str, Any]]:
        """The objects below a prefix by name, with their Size and LastModified."""
        with explained(f"listing {self.place.uri}{prefix}"):
            pages = self.s3.get_paginator("list_objects_v2").paginate(
                Bucket=self.place.bucket, Prefix=f"{self.place.prefix}{prefix}"
            )
            found = [each for page in pages for each in page.get("Contents", [])]
        return {each["Key"].removeprefix(self.place.prefix): each for each in found}

    def lock(self, name: str, until: datetime, version: str) -> None:
        """Lock a version of data/NAME for longer, whatever lies over it. S3 refuses to shorten."""
        with explained(f"locking {name} until {until:%Y-%m-%d}"):
            self.s3.put_object_retention(
                Bucket=self.place.bucket,
                Key=f"{self.place.prefix}data/{name}",
                VersionId=version,
                Retention={"Mode": "COMPLIANCE", "RetainUntilDate": until},
                ChecksumAlgorithm="SHA256",
            )


_OTHER = "fetch with the restore role, which also reads older versions: --role ARN --mfa SERIAL"


class _Throttled(io.BytesIO):
    """A body that is read no faster than the limit; not while its signature is computed."""

    def __init__(self, bucket: Bucket, body: bytes) -> None:
        super().__init__(body)
        self._bucket = bucket

    def read(self, size: int | None = -1) -> bytes:
        block = super().read(size)
        # botocore sends in blocks of 128 KiB, and hashes by the mebibyte.
        if size and 0 < size < 1024 * 1024:
            self._bucket.wait(len(block))
        return block


def now() -> datetime:
    return datetime.now(UTC).replace(microsecond=0)


def text_sum(body: bytes) -> str:
    """S3's checksum of a small object."""
    return _text(hashlib.sha256(body).digest())


def _text(digest: bytes) -> str:
    return base64.b64encode(digest).decode()
