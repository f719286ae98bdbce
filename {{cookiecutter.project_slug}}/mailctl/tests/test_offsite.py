"""Copies off site: what goes to S3, what comes back, and what is refused."""

import os
import random
import re
import signal
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import snapshots
from botocore.exceptions import ClientError, EndpointConnectionError
from s3 import BUCKET, DAYS, PREFIX, UPLOADER, Cloud

from mailctl.backup import crypt, snapshot
from mailctl.backup import offsite as package
from mailctl.backup.offsite import access, index, objects, packs
from mailctl.backup.offsite import upload as uploading
from mailctl.backup.offsite.objects import Bucket
from mailctl.backup.offsite.prune import prune, remove
from mailctl.backup.offsite.upload import manifests, read, upload
from mailctl.backup.offsite.verify import verify
from mailctl.backup.snapshot import Snapshot
from mailctl.context import Context
from mailctl.errors import Refused

DAY = "daily/2026-11-26"
KILLS = int(os.environ.get("SYNC_KILLS", "30"))


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
    return Bucket(cloud.client(), access.place(context))


def refused(call: Callable[..., Any], *arguments: Any, **options: Any) -> str:
    with pytest.raises(Refused) as caught:
        call(*arguments, **options)
    return " ".join(f"{each.field} {each.wrong} {each.fix}" for each in caught.value.problems)


@pytest.fixture
def made(offsite: Path) -> Snapshot:
    return snapshots.make(offsite)


def test_a_snapshot_comes_back_as_it_was(made: Snapshot, context: Context, tmp_path: Path) -> None:
    (made.path / "mail/example.com/ada/mail/new").mkdir()
    assert upload(context).copied == [DAY]
    back = package.fetch(context, "latest", tmp_path / "back")
    assert tree(back.path) == tree(made.path)
    assert snapshot.verify(back) == []


def test_the_owner_s_key_alone_brings_it_back(
    made: Snapshot, context: Context, repo: Path, tmp_path: Path
) -> None:
    upload(context)
    (repo / "secrets" / "backup_age_identity").unlink()
    uri, key = f"s3://{BUCKET}/{PREFIX}{DAY}", repo / "owner.key"
    assert tree(package.fetch(context, uri, tmp_path / "back", identity=key).path) == tree(made.path)


def test_a_new_owner_s_key_opens_the_next_copy_whole(
    offsite: Path, context: Context, repo: Path, tmp_path: Path
) -> None:
    snapshots.make(offsite, "daily/2026-11-25")
    upload(context)
    key = crypt.new_identity()
    (repo / "new.key").write_bytes(key)
    public = crypt.public(key.decode().split()[-1])
    text = (repo / ".env").read_text()
    (repo / ".env").write_text(
        re.sub("(?m)^BACKUP_AGE_RECIPIENTS=.*", f"BACKUP_AGE_RECIPIENTS={public}", text)
    )
    made = snapshots.make(offsite, DAY)
    changed = Context(repo, context.out, context.environ)
    upload(changed)
    (repo / "secrets" / "backup_age_identity").unlink()
    back = package.fetch(changed, DAY, tmp_path / "back", identity=repo / "new.key")
    assert tree(back.path) == tree(made.path)


def test_nothing_leaves_the_host_in_the_clear(made: Snapshot, context: Context, cloud: Cloud) -> None:
    upload(context)
    s3 = cloud.client()
    for key in remote(cloud, context).objects(""):
        body = s3.get_object(Bucket=BUCKET, Key=f"{PREFIX}{key}")["Body"].read()
        assert key.endswith("manifest.json") or body.startswith(b"age-encryption.org/v1\n")
        assert b"ada" not in body


def test_only_what_is_new_is_sent(offsite: Path, context: Context) -> None:
    old = mails(2000, 500)
    snapshots.make(offsite, "daily/2026-11-25", old)
    upload(context)
    new = mails(100, 20_000, seed=1)
    snapshots.make(offsite, DAY, {**dict(list(old.items())[1:]), **new})
    assert upload(context).sent <= 1.1 * sum(map(len, new.values()))
    assert upload(context).copied == []


def test_a_mail_that_was_moved_or_flagged_is_not_sent_again(offsite: Path, context: Context) -> None:
    old = mails(100, 20_000)
    snapshots.make(offsite, "daily/2026-11-25", old)
    upload(context)
    snapshots.make(offsite, DAY, {path.replace(":2,S", ":2,FS"): mail for path, mail in old.items()})
    assert upload(context).sent < 40_000


def test_a_long_row_of_days_comes_back(
    offsite: Path, context: Context, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Chains of indexes begin again now and then; each day is the day it was."""
    monkeypatch.setattr("mailctl.backup.offsite.index.LONGEST_CHAIN", 3)
    made = []
    for day in range(10, 18):
        made.append(snapshots.make(offsite, f"daily/2026-11-{day}", mails(2 + day % 3, seed=day)))
        upload(context)
    for each in made:
        assert tree(package.fetch(context, each.id, tmp_path / "back").path) == tree(each.path)


def test_one_mailbox_is_fetched_with_the_packs_that_it_needs(
    offsite: Path, context: Context, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    snapshots.make(offsite, "daily/2026-11-25", mails(10))
    upload(context)
    bob = {"mail/example.com/bob/mail/cur/1.b.host:2,": b"for bob"}
    snapshots.make(offsite, DAY, {**mails(10), **bob})
    upload(context)
    asked: list[str] = []
    original = Bucket.get_data
    monkeypatch.setattr(Bucket, "get_data", lambda *a: (asked.append(a[1]), original(*a)))
    back = package.fetch(context, DAY, tmp_path / "back", ["mail"], mailbox="bob@example.com")
    assert [p.name for p in (back.path / "mail/example.com").iterdir()] == ["bob"]
    assert len(asked) == 3  # two indexes and the one pack
    assert "none of this address" in refused(package.fetch, context, DAY, tmp_path, mailbox="eve@example.com")


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
    assert "404" in verify(bucket).problems[0].wrong
    assert upload(context).copied == []


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
        remove(Bucket(cloud.client(key=cloud.uploader), access.place(context)), name)


def test_what_is_hidden_in_s3_is_sent_again_with_the_next_snapshot(
    made: Snapshot, offsite: Path, context: Context, cloud: Cloud, tmp_path: Path
) -> None:
    upload(context)
    for key in list(remote(cloud, context).objects("data/")):
        cloud.client().delete_object(Bucket=BUCKET, Key=f"{PREFIX}{key}")
    later = snapshots.make(offsite, "daily/2026-11-27")
    upload(context)
    assert tree(package.fetch(context, "latest", tmp_path / "back").path) == tree(later.path)


@pytest.fixture
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Uploads in parts of 5 MiB, the least that S3 takes, and packs of two of them."""
    monkeypatch.setattr(objects, "PART", 5 * 1024 * 1024)
    monkeypatch.setattr(packs, "SIZE", 11 * 1024 * 1024)


class Faults:
    """Counts the calls to S3 of this process, and breaks those it is told to."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.calls: list[str] = []
        self.broken: Callable[[int, str], bool] = lambda number, name: False
        original = access.client

        def client(*arguments: Any) -> Any:
            made = original(*arguments)
            made.meta.events.register("before-call.s3", self._count)
            return made

        monkeypatch.setattr(access, "client", client)

    def _count(self, model: Any, **_: Any) -> None:
        self.calls.append(model.name)
        if self.broken(len(self.calls), model.name):
            raise EndpointConnectionError(endpoint_url="s3")


@pytest.fixture
def faults(monkeypatch: pytest.MonkeyPatch) -> Faults:
    return Faults(monkeypatch)


def test_s3_failing_at_any_call_is_said_and_the_next_run_goes_on(
    offsite: Path, context: Context, faults: Faults, small_parts: None, tmp_path: Path
) -> None:
    upload(context)
    snapshots.make(offsite, "daily/2026-11-25", mails(20))
    upload(context)
    made, failures = snapshots.make(offsite, DAY, mails(3, 4 * 1024 * 1024)), 0
    while True:
        faults.calls.clear()
        faults.broken = lambda number, name, at=failures + 1: number == at
        try:
            upload(context)
            break
        except Refused as refusal:
            failures += 1
            assert [p.field for p in refusal.problems] == ["S3"] and "run the same command again" in str(
                refusal.problems[0].fix
            )
    assert failures > 10
    faults.broken = lambda number, name: False
    assert tree(package.fetch(context, DAY, tmp_path / "back").path) == tree(made.path)
    assert verify(Bucket(access.client(context, access.place(context)), access.place(context))).problems == []


def test_an_upload_in_parts_goes_on_with_the_part_that_was_missing(
    offsite: Path, context: Context, faults: Faults, small_parts: None, tmp_path: Path
) -> None:
    made = snapshots.make(offsite, DAY, mails(1, 22 * 1024 * 1024))
    parts = []
    faults.broken = lambda number, name: (
        name == "UploadPart" and parts.append(number) is None and len(parts) == 3
    )
    refused(upload, context)
    faults.calls.clear()
    faults.broken = lambda number, name: False
    upload(context)
    assert faults.calls.count("UploadPart") == 3
    assert tree(package.fetch(context, DAY, tmp_path / "back").path) == tree(made.path)


def events(work: Callable[[], Any], kill_at: int = 0) -> int:
    """Run it in a process that is killed at its nth call to the system; how many there were, 0: killed."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        count = 0

        def watch(event: str, _: Any) -> None:
            nonlocal count
            if event.startswith(("open", "os.", "socket.", "http.", "urllib3.")):
                count += 1
                if count == kill_at:
                    os.kill(os.getpid(), signal.SIGKILL)

        sys.addaudithook(watch)
        try:
            work()
        finally:
            os.write(writer, str(count).encode())
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        count = int(pipe.read() or 0)
    os.waitpid(child, 0)
    return count


def test_a_run_killed_at_any_moment_leaves_whole_copies_and_the_next_one_goes_on(
    offsite: Path, context: Context, small_parts: None, cloud: Cloud, tmp_path: Path
) -> None:
    """Moments are spread over a whole run by a seed, so that a failure can be repeated."""
    source, kills, day = random.Random(10), 0, datetime(2026, 1, 1, tzinfo=UTC)  # noqa: S311
    before = snapshots.make(offsite, f"daily/{day.date()}", mails(3, 3 * 1024 * 1024))
    most = events(lambda: upload(context))
    while kills < KILLS:
        day += timedelta(days=1)
        made = snapshots.make(offsite, f"daily/{day.date()}", mails(3, 3 * 1024 * 1024, seed=kills + 1))
        while events(lambda: upload(context), source.randrange(1, most + 1)) == 0:
            kills += 1
            there = [key.removesuffix("/manifest.json") for key in manifests(remote(cloud, context))]
            assert there[-1] in (before.id, made.id)
            assert verify(remote(cloud, context)).problems == []
        upload(context)
        assert tree(package.fetch(context, made.id, tmp_path / "back").path) == tree(made.path)
        assert list((offsite / ".mailctl" / "offsite").glob("[!.]*")) == []
        before = made


def test_a_file_that_changed_since_the_backup_is_not_sent(made: Snapshot, context: Context) -> None:
    path = made.path / next(iter(snapshots.MAILS))
    path.write_bytes(path.read_bytes()[::-1])
    assert "its checksum differs" in refused(upload, context)
    path.write_bytes(b"")
    assert "is not what was saved" in refused(upload, context)
    path.unlink()
    assert "No such file" in refused(upload, context)


def test_a_damaged_pack_is_not_written(
    made: Snapshot, context: Context, cloud: Cloud, tmp_path: Path
) -> None:
    upload(context)
    bucket = remote(cloud, context)
    for key in list(bucket.objects("data/")):
        where = {"Bucket": BUCKET, "Key": f"{PREFIX}{key}"}
        body = bytearray(cloud.client().get_object(**where)["Body"].read())
        body[len(body) // 2] ^= 1
        cloud.client().put_object(**where, Body=bytes(body), ChecksumAlgorithm="SHA256")
    assert "other content than its name says" in refused(package.fetch, context, DAY, tmp_path / "back")
    assert list((tmp_path / "back").rglob("*")) == []


@pytest.mark.parametrize("path", ["../x", "mail/../../x", "/etc/x", "mail//x", "other/x"])
def test_an_index_that_names_files_of_the_host_is_refused(path: str) -> None:
    document = {"files": {path: ["a" * 64, 1, 1, 420]}, "gone": [], "folders": [], "packs": {}}
    with pytest.raises(ValueError, match="leads out"):
        index._apply(index.Index(), document)


def test_two_runs_at_once_are_one(made: Snapshot, context: Context) -> None:
    with uploading._working_folder(context):
        assert "another mailctl sync" in refused(upload, context)


def test_the_bandwidth_is_kept(made: Snapshot, context: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    snapshots.make(made.path.parents[1], "daily/2026-11-27", mails(1, 300_000))
    waited: list[float] = []
    monkeypatch.setattr("threading.Event.wait", lambda self, seconds=None: waited.append(seconds or 0))
    context.environ = {"BACKUP_BANDWIDTH": "100K"}
    sent = upload(context).sent
    assert max(waited) == pytest.approx(sent / 102_400, rel=0.3)
    context.environ = {"BACKUP_BANDWIDTH": "fast"}
    assert "500K or 2M" in refused(upload, context)


def test_a_snapshot_that_is_not_good_is_not_sent(offsite: Path, context: Context) -> None:
    snapshots.make(offsite, failed="mysql")
    assert upload(context).copied == []


def test_a_second_snapshot_of_a_day_takes_the_place_of_the_first(
    made: Snapshot, offsite: Path, context: Context, cloud: Cloud, tmp_path: Path
) -> None:
    upload(context)
    again = snapshots.make(offsite, DAY, {**snapshots.MAILS, **mails(1)}, started="2026-11-26T12:00:00Z")
    assert upload(context).copied == [DAY]
    assert tree(package.fetch(context, DAY, tmp_path / "back").path) == tree(again.path)
    assert len([v for v in remote(cloud, context).versions(DAY)]) == 2


def test_another_host_s_key_begins_copies_of_its_own(
    made: Snapshot, offsite: Path, context: Context, repo: Path, tmp_path: Path
) -> None:
    from mailctl.backup import crypt

    upload(context)
    (repo / "secrets" / "backup_age_identity").write_bytes(crypt.new_identity())
    later = snapshots.make(offsite, "daily/2026-11-27")
    upload(context)
    assert tree(package.fetch(context, "latest", tmp_path / "back").path) == tree(later.path)


def test_settings_that_are_missing_are_named(offsite: Path, context: Context, repo: Path) -> None:
    (repo / ".env").write_text("MAIL_DOMAIN=example.com\nHDD_PATH=/nowhere\n")
    text = refused(upload, context)
    assert "BACKUP_BUCKET" in text and "BACKUP_REGION" in text and "--from-terraform" in text


def test_manifests_are_listed_oldest_upload_first(offsite: Path, context: Context, cloud: Cloud) -> None:
    for id in ("weekly/2026-11-26", DAY, "daily/2026-11-25"):
        snapshots.make(offsite, id)
    upload(context)
    assert manifests(remote(cloud, context))[-1] == f"{DAY}/manifest.json"
