"""Whether a bucket may be trusted with backups: locked, versioned, encrypted; and the key cannot delete."""

import uuid
from collections.abc import Callable
from typing import Any

from mailctl.core.aws import Place, Unreachable, explained
from mailctl.core.errors import Problem, Refused

FIX = "terraform apply in terraform/s3-backup; a bucket without Object Lock must be replaced by a new one"


def lock_days(s3: Any, place: Place) -> int:
    """The days for which the bucket locks uploads. Raises Refused with all that is not as it must be."""
    checks = (_lock, _versions, _encryption, _deletes)
    problems: list[Problem] = []
    days = 0
    for check in checks:
        try:
            with explained(f"looking at the bucket {place.bucket}"):
                days = check(s3, place) or days
        except Unreachable as refusal:  # it would say the same of the rest
            raise Unreachable(*problems, *refusal.problems) from None
        except Refused as refusal:
            problems += refusal.problems
    if problems:
        raise Refused(*dict.fromkeys(problems))
    return days


def _lock(s3: Any, place: Place) -> int:
    none = "ObjectLockConfigurationNotFoundError"
    answer = _or_nothing(none, s3.get_object_lock_configuration, place).get("ObjectLockConfiguration", {})
    kept = answer.get("Rule", {}).get("DefaultRetention", {})
    days = int(kept.get("Days") or 0) + 365 * int(kept.get("Years") or 0)
    if answer.get("ObjectLockEnabled") != "Enabled":
        raise _bad(place, "Object Lock is off: whoever takes over this host could delete every copy")
    if kept.get("Mode") != "COMPLIANCE" or not days:
        found = f"its mode is {kept['Mode']}" if kept.get("Mode") else "it has no default retention"
        raise _bad(place, f"Object Lock does not protect in COMPLIANCE mode: {found}")
    return days


def _versions(s3: Any, place: Place) -> None:
    status = s3.get_bucket_versioning(Bucket=place.bucket).get("Status", "never switched on")
    if status != "Enabled":
        raise _bad(place, f"versioning is {status}: an upload would replace what was there")


def _encryption(s3: Any, place: Place) -> None:
    none = "ServerSideEncryptionConfigurationNotFoundError"
    answer = _or_nothing(none, s3.get_bucket_encryption, place)
    rules = answer.get("ServerSideEncryptionConfiguration", {}).get("Rules", [])
    if not any(rule.get("ApplyServerSideEncryptionByDefault", {}).get("SSEAlgorithm") for rule in rules):
        raise _bad(place, "default encryption is off")


def _deletes(s3: Any, place: Place) -> None:
    """Ask S3 to delete what cannot be there. IAM answers first: AccessDenied is what must come.

    Where the key may delete, still nothing happens: an object that never was has no version "null", and
    If-Match names content that no object has, so that not even a delete marker is left.
    """
    from botocore.exceptions import ClientError

    nothing = {"Bucket": place.bucket, "Key": f"{place.prefix}data/never-{uuid.uuid4()}"}
    for right, how in (
        ("s3:DeleteObjectVersion", {"VersionId": "null"}),
        ("s3:DeleteObject", {"IfMatch": f'"{uuid.uuid4().hex}"'}),
    ):
        try:
            s3.delete_object(**nothing, **how)
        except ClientError as error:
            if _code(error) == "AccessDenied":
                continue
            if error.response["ResponseMetadata"]["HTTPStatusCode"] not in (404, 412):
                raise
        wrong = f"may delete ({right}): whoever takes over this host could remove or hide copies"
        raise Refused(
            Problem("access key", wrong, "use the uploader's own key: .venv/bin/mailctl secrets aws")
        )


def _or_nothing(code: str, ask: Callable[..., Any], place: Place) -> dict[str, Any]:
    """What S3 answers about the bucket; nothing where it says by this code that there is nothing."""
    from botocore.exceptions import ClientError

    try:
        return dict(ask(Bucket=place.bucket))
    except ClientError as error:
        if _code(error) != code:
            raise
        return {}


def _code(error: Any) -> str:
    return str(error.response["Error"].get("Code", ""))


def _bad(place: Place, wrong: str) -> Refused:
    return Refused(Problem("bucket", wrong, FIX, value=place.bucket))
