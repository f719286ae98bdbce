"""What is under the lock stays, whatever is tried: by S3 calls, by the bucket policy, by Terraform."""

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
    return upload(s3, KEY)["VersionId"]


def upload(s3: Any, key: str, **options: Any) -> Any:
    headers = {"ServerSideEncryption": "AES256", **options}
    return s3.put_object(Bucket=BUCKET, Key=key, Body=b"backup", **headers)


def refusal(call: Any, **arguments: Any) -> str:
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    return caught.value.response["Error"]["Code"]


def test_an_upload_is_locked_for_the_days_of_the_answers_without_asking(s3: Any, version: str) -> None:
    head = s3.head_object(Bucket=BUCKET, Key=KEY, VersionId=version)
    assert head["ObjectLockMode"] == "COMPLIANCE"
    left = head["ObjectLockRetainUntilDate"] - datetime.now(UTC)
    assert timedelta(days=DAYS - 1) < left <= timedelta(days=DAYS)


def test_a_locked_version_cannot_be_deleted(s3: Any, version: str) -> None:
    assert refusal(s3.delete_object, Bucket=BUCKET, Key=KEY, VersionId=version) == "AccessDenied"


def test_not_even_with_the_right_to_bypass(s3: Any, version: str) -> None:
    code = refusal(
        s3.delete_object, Bucket=BUCKET, Key=KEY, VersionId=version, BypassGovernanceRetention=True
    )
    assert code == "AccessDenied"


def test_deleting_without_a_version_hides_a_backup_but_keeps_it(s3: Any) -> None:
    kept = upload(s3, "mailserver/hidden")["VersionId"]
    s3.delete_object(Bucket=BUCKET, Key="mailserver/hidden")
    body = s3.get_object(Bucket=BUCKET, Key="mailserver/hidden", VersionId=kept)["Body"].read()
    assert body == b"backup"


def test_overwriting_a_backup_keeps_what_was_there(s3: Any) -> None:
    first = upload(s3, "mailserver/overwritten")["VersionId"]
    s3.put_object(Bucket=BUCKET, Key="mailserver/overwritten", Body=b"ransom", ServerSideEncryption="AES256")
    body = s3.get_object(Bucket=BUCKET, Key="mailserver/overwritten", VersionId=first)["Body"].read()
    assert body == b"backup"


@pytest.mark.parametrize(
    "options",
    [
        {"ServerSideEncryption": "aws:kms"},
        {"ObjectLockMode": "GOVERNANCE", "ObjectLockRetainUntilDate": datetime(2099, 1, 1, tzinfo=UTC)},
        {"ObjectLockMode": "COMPLIANCE", "ObjectLockRetainUntilDate": datetime(2099, 1, 1, tzinfo=UTC)},
    ],
    ids=["with another encryption", "with a weaker lock", "with a lock for a century"],
)
def test_the_bucket_refuses_an_upload(options: dict[str, Any], s3: Any) -> None:
    with pytest.raises(ClientError) as caught:
        upload(s3, "mailserver/refused", **options)
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 403


def test_a_client_that_sends_no_encryption_header_is_let_in_and_encrypted(s3: Any) -> None:
    s3.put_object(Bucket=BUCKET, Key="mailserver/plain", Body=b"plain")
    assert s3.head_object(Bucket=BUCKET, Key="mailserver/plain")["ServerSideEncryption"] == "AES256"


def test_an_upload_in_parts_is_let_in(s3: Any) -> None:
    """The parts carry no header at all: a Deny of its absence would refuse each of them."""
    place = {"Bucket": BUCKET, "Key": "mailserver/data/parts"}
    upload = s3.create_multipart_upload(**place)["UploadId"]
    bodies = [b"a" * 5 * 1024 * 1024, b"b"]
    tags = [
        s3.upload_part(**place, UploadId=upload, PartNumber=number, Body=body)["ETag"]
        for number, body in enumerate(bodies, 1)
    ]
    parts = [{"PartNumber": number, "ETag": tag} for number, tag in enumerate(tags, 1)]
    s3.complete_multipart_upload(**place, UploadId=upload, MultipartUpload={"Parts": parts})
    assert s3.head_object(**place)["ContentLength"] == len(bodies[0]) + 1


def test_destroy_is_refused_before_anything_is_touched(applied: Workspace, version: str) -> None:
    refused = applied.run("destroy", "-auto-approve", codes=(1,))
    assert "Instance cannot be destroyed" in refused.text
    assert "aws_s3_bucket.backup" in refused.text
    assert applied.plan().code == 0


def test_renaming_the_bucket_is_refused_because_it_would_destroy_the_old_one(applied: Workspace) -> None:
    assert "Instance cannot be destroyed" in applied.refused_plan("-var=backup_bucket=another-backup")
