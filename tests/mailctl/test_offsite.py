"""Copies off site: what goes to S3, what comes back, and what is refused."""

import re
from pathlib import Path

import pytest
import snapshots
from copies import DAY, mails, manifests, refused, remote, tree
from s3 import BUCKET, PREFIX, Cloud

from mailctl.backup.offsite import download as package
from mailctl.backup.offsite import index
from mailctl.backup.offsite.objects import Bucket
from mailctl.backup.offsite.upload import upload
from mailctl.backup.offsite.working import working
from mailctl.core import encryption
from mailctl.core import snapshots as snapshot
from mailctl.core.context import Context
from mailctl.core.snapshots import Snapshot


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
    key = encryption.new_identity()
    (repo / "new.key").write_bytes(key)
    public = encryption.public(key.decode().split()[-1])
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
        # With a sign beside it: three letters alone turn up in a checksum or a key by chance.
        assert b"/ada" not in body and b"ada@" not in body


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
    assert len(set(asked)) == 3  # two indexes and the one pack
    assert "none of this address" in refused(package.fetch, context, DAY, tmp_path, mailbox="eve@example.com")


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
def test_an_index_that_names_files_of_the_host_is_refused(path: str, tmp_path: Path) -> None:
    document = {"files": {path: ["a" * 64, 1, 1, 420]}, "gone": [], "folders": [], "packs": {}}
    with index.Index(tmp_path) as content, pytest.raises(ValueError, match="leads out"):
        content._apply(document)


def test_two_runs_at_once_are_one(made: Snapshot, context: Context) -> None:
    with working(context):
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
    from mailctl.core import encryption

    upload(context)
    (repo / "secrets" / "backup_age_identity").write_bytes(encryption.new_identity())
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
