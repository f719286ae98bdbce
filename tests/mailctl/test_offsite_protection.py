"""Copies off site are protected: locks, the bucket, the key, and what verify and prune say of them."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import snapshots
from botocore.exceptions import ClientError
from copies import DAY, mails, refused, remote, tree
from s3 import BUCKET, DAYS, PREFIX, UPLOADER, Cloud

from mailctl.backup.offsite import download as package
from mailctl.backup.offsite import upload as uploading
from mailctl.backup.offsite.copies import read
from mailctl.backup.offsite.objects import Bucket
from mailctl.backup.offsite.prune import prune, remove
from mailctl.backup.offsite.upload import upload
from mailctl.backup.offsite.watch import verify
from mailctl.core import aws
from mailctl.core.context import Context
from mailctl.core.errors import Refused
from mailctl.core.snapshots import Snapshot


def test_everything_is_locked_for_as_long_as_a_snapshot_needs_it(
    offsite: Path, context: Context, cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A year of days: each object's lock never ends before that of the newest snapshot that needs it."""
    begin, s3, old = datetime.now(UTC).replace(microsecond=0), cloud.client(), mails(5)
    for day in range(0, 200, 20):
        moment = begin + timedelta(days=day)
        monkeypatch.setattr(uploading, "now", lambda moment=moment: moment)
        id = f"daily/{moment.date()}"
        snapshots.make(offsite, id, {**old, **mails(1, seed=day + 1)})
        upload(context)
        needed = read(remote(cloud, context), f"{id}/manifest.json").objects
        for name in needed:
            until = s3.head_object(Bucket=BUCKET, Key=f"{PREFIX}data/{name}")["ObjectLockRetainUntilDate"]
            assert moment + timedelta(days=DAYS) <= until <= moment + timedelta(days=2 * DAYS)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"mode": None}, "Object Lock is off"),
        ({"mode": "GOVERNANCE"}, "its mode is GOVERNANCE"),
        ({"encrypted": False}, "default encryption is off"),
    ],
    ids=["no lock", "a weaker lock", "no encryption"],
)
def test_a_bucket_that_does_not_protect_is_refused_and_nothing_sent(
    change: dict[str, Any], words: str, made: Snapshot, cloud: Cloud, repo: Path, context: Context
) -> None:
    name = cloud.make_bucket("another", **change)
    text = (repo / ".env").read_text()
    (repo / ".env").write_text(text.replace(f"BACKUP_BUCKET={BUCKET}", f"BACKUP_BUCKET={name}"))
    assert words in refused(upload, context)
    assert "Contents" not in cloud.client().list_objects_v2(Bucket=name)


def test_a_bucket_whose_versioning_was_suspended_is_refused(
    made: Snapshot, context: Context, cloud: Cloud
) -> None:
    suspended = {"Status": "Suspended"}
    cloud.client().put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration=suspended)
    assert "versioning is Suspended" in refused(upload, context)


@pytest.mark.parametrize("right", ["s3:DeleteObject", "s3:DeleteObjectVersion"])
def test_a_key_that_could_delete_is_refused_before_anything_is_sent(
    right: str, made: Snapshot, context: Context, cloud: Cloud, repo: Path
) -> None:
    pair = cloud.user("careless", UPLOADER, {"Effect": "Allow", "Action": right, "Resource": "*"})
    (repo / "secrets" / "aws_uploader_key").write_text("\n".join(pair))
    assert "may delete" in refused(upload, context)
    assert cloud.client().list_object_versions(Bucket=BUCKET).get("Versions") is None


def test_the_host_s_key_can_neither_delete_nor_replace_for_good(
    made: Snapshot, context: Context, cloud: Cloud, tmp_path: Path
) -> None:
    upload(context)
    s3 = cloud.client(key=cloud.uploader)
    for key in remote(cloud, context).objects(""):
        where = {"Bucket": BUCKET, "Key": f"{PREFIX}{key}"}
        version = s3.head_object(**where)["VersionId"]
        for call in (
            lambda where=where: s3.delete_object(**where),
            lambda where=where, version=version: s3.delete_object(**where, VersionId=version),
        ):
            with pytest.raises(ClientError) as caught:
                call()
            assert caught.value.response["Error"]["Code"] == "AccessDenied"
        s3.put_object(**where, Body=b"ransom", ChecksumAlgorithm="SHA256")
    assert "is no manifest" in refused(package.fetch, context, DAY, tmp_path / "back")
    # The restore role lists versions: the copy is still there, whole.
    old = next(v for v in remote(cloud, context).versions(DAY) if not v["IsLatest"])["VersionId"]
    (context.repo / "secrets" / "aws_uploader_key").write_text("\n".join(cloud.administrator))
    back = package.fetch(context, f"{DAY}?versionId={old}", tmp_path / "back")
    assert tree(back.path) == tree(made.path)


def test_verify_finds_what_was_hidden_overwritten_or_locked_too_short(
    made: Snapshot, context: Context, cloud: Cloud
) -> None:
    upload(context)
    bucket, s3 = remote(cloud, context), cloud.client()
    assert verify(bucket).problems == []
    name = next(iter(bucket.objects("data/")))
    where = {"Bucket": BUCKET, "Key": f"{PREFIX}{name}"}
    size = s3.head_object(**where)["ContentLength"]
    s3.put_object(**where, Body=b"x" * size, ChecksumAlgorithm="SHA256")
    assert [p.field for p in verify(bucket).problems] == [name]
    assert "overwritten" in verify(bucket).problems[0].wrong
    s3.delete_object(**where)
    assert "a delete marker hides it" in verify(bucket).problems[0].wrong
    assert upload(context).copied == [DAY]
    assert verify(bucket).problems == []


def test_prune_removes_what_no_copy_needs_once_its_lock_has_ended(
    made: Snapshot, offsite: Path, context: Context, cloud: Cloud
) -> None:
    upload(context)
    snapshots.make(offsite, "daily/2026-11-27", mails(2))
    upload(context)
    bucket, s3 = remote(cloud, context), cloud.client()
    everything = bucket.objects("data/").keys()
    assert (prune(bucket).removed, prune(bucket).locked) == (0, 0)
    s3.delete_object(Bucket=BUCKET, Key=f"{PREFIX}{DAY}/manifest.json")
    locked = prune(bucket)
    assert locked.removed == 0 and locked.locked > 0 and bucket.objects("data/").keys() == everything
    for name in everything:
        cloud.end_lock(name)
    assert prune(bucket).removed == locked.locked
    assert verify(bucket).problems == [p for p in verify(bucket).problems if "locked" in p.wrong]
    package.fetch(context, "latest", offsite / "back")


def test_prune_deletes_nothing_when_a_manifest_cannot_be_read_or_there_is_none(
    made: Snapshot, context: Context, cloud: Cloud
) -> None:
    bucket = remote(cloud, context)
    assert "nothing says what is needed" in refused(prune, bucket)
    upload(context)
    for name in bucket.objects("data/"):
        cloud.end_lock(name)
    before = bucket.objects("data/").keys()
    bucket.put_text("daily/2026-11-27/manifest.json", b"{}")
    refused(prune, bucket)
    assert bucket.objects("data/").keys() == before


def test_the_uploader_s_key_cannot_prune(made: Snapshot, context: Context, cloud: Cloud) -> None:
    upload(context)
    name = next(iter(remote(cloud, context).objects("data/")))
    cloud.end_lock(name)
    with pytest.raises(Refused, match="does not allow"):
        remove(Bucket(cloud.client(key=cloud.uploader), aws.place(context)), name)


def test_what_is_hidden_in_s3_is_sent_again_with_the_next_snapshot(
    made: Snapshot, offsite: Path, context: Context, cloud: Cloud, tmp_path: Path
) -> None:
    upload(context)
    for key in list(remote(cloud, context).objects("data/")):
        cloud.client().delete_object(Bucket=BUCKET, Key=f"{PREFIX}{key}")
    later = snapshots.make(offsite, "daily/2026-11-27")
    upload(context)
    assert tree(package.fetch(context, "latest", tmp_path / "back").path) == tree(later.path)
