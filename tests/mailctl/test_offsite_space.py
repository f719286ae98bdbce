"""Space and time first: what fetching needs, where it goes, from when it may be, and what waits for what."""

import json
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

import pytest
import snapshots
from attacks import PLANTED, Bucketeer
from conftest import Cli
from copies import DAY, mails, refused, remote, tree
from s3 import BUCKET, PREFIX, Cloud

from mailctl.backup import publish
from mailctl.backup.drill import run as drilling
from mailctl.backup.offsite import download as package
from mailctl.backup.offsite.index import Index
from mailctl.backup.offsite.upload import Upload, upload
from mailctl.backup.restore import choose, stage
from mailctl.core import disk_locks, signing
from mailctl.core.context import Context
from mailctl.core.errors import Refused
from mailctl.core.snapshots import Snapshot


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Another disk, of 90 MB."""
    place = tmp_path / "small"
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=90m", "tmpfs", str(place)], check=True)
    yield place
    subprocess.run(["umount", str(place)], check=True)


def test_what_does_not_fit_is_refused_before_it_is_fetched(
    offsite: Path, context: Context, small_disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    snapshots.make(offsite, DAY, mails(40, 1_000_000))
    upload(context)
    said = refused(package.fetch, context, DAY, small_disk)
    assert "fetching daily/2026-11-26 needs" in said and str(small_disk) in said and "--to DIR" in said
    assert list(small_disk.iterdir()) == []


def test_the_reserve_is_kept_on_disks_that_take_mail_and_only_there(
    made: Snapshot, context: Context, small_disk: Path, tmp_path: Path
) -> None:
    upload(context)
    context.environ = {"RESERVE_GIB": "1000000"}
    assert "stay free" in refused(package.fetch, context, DAY, made.path.parents[1] / "back")
    assert "RESERVE_GIB" in refused(choose.refuse_without_room, context, made, ["mail"])
    package.fetch(context, DAY, small_disk)
    context.environ = {"RESERVE_GIB": "much"}
    assert "is not a number of GiB" in refused(choose.refuse_without_room, context, made, ["mail"])


def test_a_restore_fetches_into_a_folder_of_choice_where_it_stays(
    made: Snapshot, context: Context, cli: Cli, small_disk: Path
) -> None:
    upload(context)
    uri = f"s3://{BUCKET}/{PREFIX}latest"
    done = cli("restore", "--from", uri, "--to", small_disk, "--component", "dkim", "--dry-run", "--json")
    assert done.exit_code == 0, done.output
    assert "of which" in done.stderr and str(small_disk) in done.stderr.replace("\n", "")
    early = cli("restore", "--from", uri, "--before", "2020-01-01", "--component", "dkim", "--dry-run")
    assert "uploaded before 2020-01-01 00:00" in " ".join(early.stderr.split())
    assert "is no time" in cli("restore", "--from", uri, "--before", "then", "--dry-run").stderr
    again = cli("restore", "--from", small_disk / DAY, "--component", "dkim", "--dry-run", "--json")
    assert again.exit_code == 0
    assert "goes with s3:// only" in cli("restore", "--from", small_disk / DAY, "--to", "/x", "--yes").stderr


def test_what_was_fetched_is_restored_without_a_second_copy(
    made: Snapshot, context: Context, tmp_path: Path
) -> None:
    upload(context)
    back = package.fetch(context, DAY, choose.fetched(context))
    assert stage.is_disposable(context, back) and not stage.is_disposable(context, made)
    assert stage.stage_mail(back, made.path.parents[1] / "staged", disposable=True) == []
    mail = next(path for path in back.path.rglob("cur/*"))
    staged = made.path.parents[1] / "staged" / mail.relative_to(back.path / "mail")
    assert staged.stat().st_ino == mail.stat().st_ino
    uidlist = next(made.path.parents[1].glob("staged/**/dovecot-uidlist"))
    assert uidlist.stat().st_nlink == 1


def test_before_a_time_by_s3_s_clock_an_attacker_with_the_host_s_key_does_not_count(
    made: Snapshot, context: Context, cloud: Cloud, tmp_path: Path
) -> None:
    upload(context)
    cloud.uploaded(f"{DAY}/manifest.json", datetime(2026, 11, 26, 4, tzinfo=UTC))
    Bucketeer(cloud, context, tmp_path).plant(signed=True)
    assert package.fetch(context, "latest", tmp_path / "evil-one").id == PLANTED
    then = datetime(2026, 11, 27, tzinfo=UTC)
    assert tree(package.fetch(context, "latest", tmp_path / "ours", before=then).path) == tree(made.path)
    early = datetime(2026, 11, 20, tzinfo=UTC)
    assert "uploaded before 2026-11-20" in refused(package.fetch, context, "latest", tmp_path, before=early)


def test_a_lost_host_trusts_the_line_in_the_owner_s_key_file_and_nothing_else(
    made: Snapshot, context: Context, repo: Path, tmp_path: Path
) -> None:
    upload(context)
    line, key = signing.line(context), repo / "owner.key"
    (repo / "secrets" / "backup_age_identity").unlink()
    (repo / "secrets" / "backup_signing_key").write_bytes(signing.new_key())  # the new host's own
    assert "# signed by" in refused(package.fetch, context, "latest", tmp_path / "no", identity=key)
    back = package.fetch(context, "latest", tmp_path / "unsigned", identity=key, unsigned=True)
    assert tree(back.path) == tree(made.path)
    key.write_text(f"{line}\n{key.read_text()}")
    assert tree(package.fetch(context, "latest", tmp_path / "yes", identity=key).path) == tree(made.path)


def test_a_snapshot_that_is_being_uploaded_is_not_removed(offsite: Path) -> None:
    made = [snapshots.make(offsite, f"daily/2026-11-{day}") for day in range(10, 19)]
    with disk_locks.held(made[0].path):
        assert publish.expire(offsite, made[-1].id) == [made[1].id]
    assert publish.expire(offsite, made[-1].id) == [made[0].id]


def test_a_snapshot_that_is_taken_again_while_it_is_uploaded_is_uploaded_as_it_is_then(
    made: Snapshot, context: Context, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hdd, send = made.path.parents[1], Upload._send_new
    other = snapshots.make(tmp_path / "later", DAY, mails(3), started=f"{DAY[6:]}T12:00:00Z")

    def meanwhile(self: Upload, found: Snapshot) -> None:
        if other.path.exists():
            publish.publish(other.path.rename(hdd / "daily/.new"), made.path)
        send(self, found)

    monkeypatch.setattr(Upload, "_send_new", meanwhile)
    assert upload(context).copied == [DAY]
    assert tree(package.fetch(context, DAY, tmp_path / "back").path) == tree(made.path)


def test_neither_an_upload_nor_a_drill_nor_a_fetch_delays_a_snapshot(
    made: Snapshot, context: Context, monkeypatch: pytest.MonkeyPatch, cli: Cli
) -> None:
    free: list[str] = []

    def backup(*_: object, **__: object) -> None:
        with disk_locks.exclusive(context, "mailctl backup"):
            free.append("taken")
        raise Refused

    monkeypatch.setattr(Upload, "missing", backup)
    cli("sync")
    monkeypatch.setattr(drilling, "drill", backup)
    cli("drill", "--local-only")
    monkeypatch.setattr("mailctl.backup.offsite.download.fetch", backup)
    cli("restore", "--from", f"s3://{BUCKET}/{PREFIX}latest", "--component", "dkim", "--dry-run")
    assert len(free) == 3


def test_copies_from_before_there_were_signatures_are_gone_on_with_and_signed_without_sending_again(
    offsite: Path, context: Context, cloud: Cloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = snapshots.make(offsite, DAY, mails(20, 20_000))
    with monkeypatch.context() as patch:
        patch.setattr(signing, "sign", lambda _context, text: text)
        patch.setattr(Index, "_lines", as_it_was)
        upload(context)
    (offsite / ".mailctl" / "offsite.db").unlink()
    assert "not signed" in refused(package.fetch, context, DAY, tmp_path / "no")
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Upload, "_publish", interrupted)
        upload(context)
    report = upload(context)
    assert report.copied == [DAY] and report.sent < 100_000 and report.findings == []
    assert tree(package.fetch(context, DAY, tmp_path / "back").path) == tree(made.path)


def as_it_was(index: Index, target: IO[bytes]) -> None:
    """An index of version 1: one document."""
    files = {path.decode(): rest for path, *rest in index.rows("SELECT * FROM now")}
    packs: dict[str, list[str]] = {}
    for sha, pack in index.rows("SELECT sha, pack FROM packs"):
        packs.setdefault(pack, []).append(sha)
    folders = [path.decode() for (path,) in index.rows("SELECT path FROM folders")]
    target.write(json.dumps({"files": files, "gone": [], "folders": folders, "packs": packs}).encode())


def interrupted(*_: object) -> None:
    raise KeyboardInterrupt


def test_without_its_signing_key_the_host_sends_nothing(
    made: Snapshot, context: Context, cloud: Cloud, repo: Path
) -> None:
    (repo / "secrets" / "backup_signing_key").unlink()
    assert "make setup" in refused(upload, context)
    assert not remote(cloud, context).objects("")
