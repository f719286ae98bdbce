"""What tests of the copies in S3 share: mails that do not compress, trees, the bucket."""

import os
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from s3 import Cloud

from mailctl.backup.offsite.copies import manifests as listed
from mailctl.backup.offsite.objects import Bucket
from mailctl.core import aws, signing
from mailctl.core.context import Context
from mailctl.core.errors import Refused

DAY = "daily/2026-11-26"


def mails(count: int, size: int = 2000, seed: int = 0) -> dict[str, bytes]:
    """Mails that do not compress, so that sizes mean something."""
    source = random.Random(seed)  # noqa: S311
    folder = "mail/example.com/ada/mail/cur"
    return {f"{folder}/{seed}.{number:05}.host:2,S": source.randbytes(size) for number in range(count)}


def tree(folder: Path) -> dict[str, object]:
    """Every file with its content and mode, every link, every folder; when each mail arrived."""
    return {str(path.relative_to(folder)): _look(path) for path in sorted(folder.rglob("*"))}


def _look(path: Path) -> object:
    if path.is_symlink():
        return os.readlink(path)
    found = path.stat()
    arrived = found.st_mtime_ns if "/mail/" in str(path) else None
    return (path.read_bytes(), arrived, found.st_mode) if path.is_file() else None


def remote(cloud: Cloud, context: Context) -> Bucket:
    """The bucket with an administrator's key."""
    return Bucket(cloud.client(), aws.place(context), signers=signing.trusted(context))


def manifests(bucket: Bucket) -> list[str]:
    return listed(bucket.objects(""))


def refused(call: Callable[..., Any], *arguments: Any, **options: Any) -> str:
    with pytest.raises(Refused) as caught:
        call(*arguments, **options)
    return " ".join(f"{each.field} {each.wrong} {each.fix}" for each in caught.value.problems)
