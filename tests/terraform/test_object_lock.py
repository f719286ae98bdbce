"""What is under the lock stays, whatever is tried: by S3 calls, by Terraform."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError
from equipment.cloud import Cloud
from equipment.template import ANSWERS
from equipment.workspace import Workspace

BUCKET = ANSWERS["backup_bucket"]
DAYS = ANSWERS["object_lock_days"]
KEY = "mailserver/daily/2026-01-01/manifest.json"


@pytest.fixture(scope="module")
def s3(applied: Workspace, cloud: Cloud) -> Any:
    return cloud.client("s3")


@pytest.fixture(scope="module")
def version(s3: Any) -> str:
    """A backup, uploaded as the host does."""
    return s3.put_object(Bucket=BUCKET, Key=KEY, Body=b"backup")["VersionId"]


def test_an_upload_is_locked_for_the_days_of_the_answers_without_asking(s3: Any, version: str) -> None:
    head = s3.head_object(Bucket=BUCKET, Key=KEY, VersionId=version)
    assert head["ObjectLockMode"] == "COMPLIANCE"
    left = head["ObjectLockRetainUntilDate"] - datetime.now(UTC)
    assert timedelta(days=DAYS - 1) < left <= timedelta(days=DAYS)


@pytest.mark.parametrize(
    "bypass", [{}, {"BypassGovernanceRetention": True}], ids=["plainly", "with a bypass"]
)
def test_a_locked_version_cannot_be_deleted(bypass: dict[str, bool], s3: Any, version: str) -> None:
    with pytest.raises(ClientError) as caught:
        s3.delete_object(Bucket=BUCKET, Key=KEY, VersionId=version, **bypass)
    assert caught.value.response["Error"]["Code"] == "AccessDenied"


def test_destroy_is_refused_before_anything_is_touched(applied: Workspace, version: str) -> None:
    refused = applied.run("destroy", "-auto-approve", codes=(1,))
    assert "Instance cannot be destroyed" in refused.text
    assert "aws_s3_bucket.backup" in refused.text
    assert applied.plan().code == 0


def test_renaming_the_bucket_is_refused_because_it_would_destroy_the_old_one(applied: Workspace) -> None:
    assert "Instance cannot be destroyed" in applied.refused_plan("-var=backup_bucket=another-backup")
