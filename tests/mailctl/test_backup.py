"""`mailctl backup`: whole or absent, loud when it fails, and the last good snapshot is always there."""

import datetime
import io
import json
import os
import random
import signal
import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
from backup_host import BOX, CALENDARS_AT, KEYS_AT, LEARNED_AT, BackupHost
from fakes import FakeDocker, FakeEngine
from moving_mail import numbers
from restore_scene import LEARNED, archive
from snapshots import make
from typer.testing import Result

from mailctl.backup import publish, take
from mailctl.core import encryption, job_results, signing
from mailctl.core import snapshots as snapshot

Cli = Callable[..., Result]
KILLS = int(os.environ.get("KILL_MOMENTS", "10"))


@pytest.fixture
def host(repo: Path, engine: FakeEngine, docker: FakeDocker) -> BackupHost:
    return BackupHost(repo, engine, docker)


def backup(cli: Cli, *arguments: str, code: int = 0) -> dict:
    done = cli("backup", "--json", *arguments)
    assert done.exit_code == code, done.output
    return json.loads(done.stdout)


def latest(host: BackupHost) -> snapshot.Snapshot:
    found = snapshot.latest(host.hdd)
    assert found is not None and snapshot.verify(found) == []
    return found


def decrypted(host: BackupHost, path: Path) -> bytes:
    target = io.BytesIO()
    with path.open("rb") as file:
        encryption.decrypt(file, target, encryption.identities(host.context, host.owner))
    return target.getvalue()


def test_a_backup_holds_everything_and_says_what(host: BackupHost, cli: Cli) -> None:
    document = backup(cli)
    found = latest(host)
    assert document["ok"] and document["id"] == found.id and document["new_messages"] == 30
    assert numbers(found.path / "mail") == list(range(30))
    assert found.manifest.mailboxes["ada@example.com"]["messages"] == 30
    assert found.manifest.document["git_commit"] and len(found.manifest.document["recipients"]) == 2
    assert subprocess.run(["gzip", "-t", *found.path.glob("mysql/*.gz")], check=False).returncode == 0
    bundle = ["git", "bundle", "verify", "-q", str(found.path / "config/repository.bundle")]
    assert subprocess.run(bundle, cwd=host.repo, check=False, capture_output=True).returncode == 0
    assert (found.path.stat().st_mode & 0o777, found.path.parent.stat().st_mode & 0o777) == (0o700, 0o700)
    saved = job_results.last(host.context, "backup")
    assert saved is not None and saved["ok"] and saved["document"]["id"] == found.id


def test_secrets_are_in_it_only_encrypted_and_without_the_key_that_opens_them(
    host: BackupHost, cli: Cli
) -> None:
    backup(cli)
    found = latest(host)
    secrets = {path.name: path.read_bytes() for path in (host.repo / "secrets").iterdir() if path.is_file()}
    plain = b"".join(path.read_bytes() for path in found.path.rglob("*") if path.is_file())
    assert b"very-secret-hint" not in plain
    assert [name for name, content in secrets.items() if content and content in plain] == []
    assert b"very-secret-hint" in decrypted(host, found.path / "config/env.age")
    kept = {}
    for path in ("config/secrets.tar.age", "ssl/tls.tar.age"):
        with tarfile.open(fileobj=io.BytesIO(decrypted(host, found.path / path))) as archive:
            kept |= {m.name: archive.extractfile(m).read() for m in archive}  # type: ignore[union-attr]
    assert kept == {n: c for n, c in secrets.items() if n not in (".lock", "backup_age_identity")}


def test_the_second_snapshot_of_a_day_replaces_the_first_and_a_weekly_shares_its_files(
    host: BackupHost, cli: Cli
) -> None:
    backup(cli)
    first = (latest(host).path / "mail.sha256").stat().st_ino
    document = backup(cli, "--weekly")
    daily, weekly = latest(host), snapshot.read(host.hdd / document["weekly"])
    assert (daily.path / "mail.sha256").stat().st_ino != first and document["new_messages"] == 0
    assert snapshot.verify(weekly) == [] and weekly.manifest.kind == "weekly"
    assert (weekly.path / "mail.sha256").samefile(daily.path / "mail.sha256")
    assert [path.name for path in host.hdd.glob("*ly/.*")] == []


def test_a_mail_damaged_by_the_disk_is_whole_in_the_next_weekly_snapshot(host: BackupHost, cli: Cli) -> None:
    backup(cli)
    mail = next((latest(host).path / "mail" / BOX).rglob("cur/*"))
    status, content = mail.stat(), mail.read_bytes()
    mail.write_bytes(content[:-1] + b"?")
    os.utime(mail, ns=(status.st_atime_ns, status.st_mtime_ns))
    backup(cli, "--weekly")
    assert (latest(host).path / "mail" / mail.relative_to(latest(host).path / "mail")).read_bytes() == content


FAILURES = {
    "mysql": lambda host: host.docker.answer("sh", stderr="Access denied for user 'backup'", code=2),
    "dkim": lambda host: host.docker.answer(KEYS_AT, stderr="no such container", code=1),
    "learned": lambda host: host.docker.answer(LEARNED_AT, "no archive"),
    "groupware": lambda host: host.docker.answer(CALENDARS_AT, stderr="no such container", code=1),
    "config": lambda host: (host.repo / ".git").rename(host.repo / ".git.away"),
    "ssl": lambda host: (host.repo / "secrets/dovecot_tls.key").unlink(),
}


@pytest.mark.parametrize("component", FAILURES)
def test_a_component_that_fails_stops_no_other_and_the_run_fails_loudly(
    host: BackupHost, cli: Cli, component: str
) -> None:
    FAILURES[component](host)
    document = backup(cli, code=1)
    found = snapshot.every(host.hdd)[-1]
    saved = {name for name, entry in document["components"].items() if entry["ok"]}
    assert saved == set(snapshot.COMPONENTS) - {component} and not found.good
    assert snapshot.verify(found, saved) == [] and not (found.path / component).exists()
    assert "mailserver_backup_last_run_success 0\n" in (host.hdd / ".mailctl/backup.prom").read_text()
    assert host.docker.calls_with("sendmail")


def test_a_dump_that_ends_early_is_no_dump(host: BackupHost, cli: Cli) -> None:
    host.docker.answer("sh", "CREATE TABLE mailboxes (\n")
    assert "ended before its last line" in backup(cli, code=1)["components"]["mysql"]["error"]
    assert backup(cli, code=1)["new_messages"] == 0, "the mail of the failed snapshot is linked"


def test_a_log_of_valkey_that_was_copied_while_it_was_replaced_is_none(host: BackupHost, cli: Cli) -> None:
    later = {name: b"file appendonly.aof.2.base.rdb seq 2 type b\n" for name in LEARNED if "manifest" in name}
    host.docker.answer(LEARNED_AT, archive(LEARNED | later).decode())
    assert "lacks files that its manifest names" in backup(cli, code=1)["components"]["learned"]["error"]


def test_a_failed_run_leaves_the_good_snapshot_of_the_same_day(host: BackupHost, cli: Cli) -> None:
    backup(cli)
    host.docker.answer("sh", code=2)
    assert backup(cli, code=1)["kept"] is False
    latest(host)
    assert len(snapshot.every(host.hdd)) == 1


def test_without_an_owners_key_there_is_no_backup_and_backup_key_makes_one(
    host: BackupHost, cli: Cli
) -> None:
    env = (host.repo / ".env").read_text()
    (host.repo / ".env").write_text("".join(line + "\n" for line in env.splitlines() if "AGE" not in line))
    assert "make backup-key" in cli("backup").stderr
    assert snapshot.every(host.hdd) == []
    key = host.repo.parent / "new.key"
    made = json.loads(cli("backup-key", "--out", str(key), "--json").stdout)
    assert f"BACKUP_AGE_RECIPIENTS={made['public']}\n" in (host.repo / ".env").read_text()
    assert key.stat().st_mode & 0o777 == 0o600 and "secret" not in made
    assert "names a key already" in cli("backup-key").stderr
    backup(cli)
    host.owner = key
    assert decrypted(host, latest(host).path / "config/env.age") == (host.repo / ".env").read_bytes()


def test_a_shown_key_is_shown_once_and_added_beside_the_first(host: BackupHost, cli: Cli) -> None:
    done = cli("backup-key", "--add")
    line = signing.line(host.context)
    assert line and line in done.stdout and line in cli("backup-key", "--signer", "--json").stdout
    assert "AGE-SECRET-KEY-" in done.stdout and done.exit_code == 0
    assert len(encryption.recipients(host.context)) == 3


def test_two_runs_at_once_the_second_is_refused_with_who_works(host: BackupHost, cli: Cli) -> None:
    first = host.start()
    try:
        while (
            not (host.hdd / ".mailctl-backup.lock").exists()
            or not (host.hdd / ".mailctl-backup.lock").read_text()
        ):
            assert first.poll() is None
        first.send_signal(signal.SIGSTOP)
        done = cli("backup")
        assert done.exit_code == 1 and f"(process {first.pid})" in " ".join(done.stderr.split())
    finally:
        first.send_signal(signal.SIGCONT)
        first.communicate()
    assert first.returncode == 0
    latest(host)


@pytest.mark.series
def test_killed_at_any_moment_the_last_good_snapshot_is_there_and_the_next_run_is_right(
    host: BackupHost, cli: Cli
) -> None:
    backup(cli, "--weekly")
    chance, whole = random.Random(20261126), None  # noqa: S311
    for number in range(KILLS):
        host.mail._come()
        begun = datetime.datetime.now()
        run = host.start("--weekly")
        try:
            run.communicate(timeout=chance.uniform(0.05, 1.0) * (whole or 3.0))
            whole = (datetime.datetime.now() - begun).total_seconds()
        except subprocess.TimeoutExpired:
            run.kill()
            run.communicate()
        found = latest(host)
        assert numbers(found.path / "mail")[:30] == list(range(30)), number
        assert {s.id for s in snapshot.every(host.hdd)} >= {found.id}
    backup(cli)
    assert numbers(latest(host).path / "mail") == numbers(host.hdd / "mailboxes")
    assert [path.name for path in host.hdd.glob("*ly/.*")] == []


@pytest.fixture
def small_disk(tmp_path: Path) -> Path:
    """A disk of 80 MB, less what is always kept free."""
    place = tmp_path / "small"
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=80m", "tmpfs", str(place)], check=True)
    yield place
    subprocess.run(["umount", str(place)], check=True)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount a small disk")
def test_a_disk_without_room_is_told_first_and_one_that_fills_up_leaves_nothing_half_done(
    repo: Path,
    engine: FakeEngine,
    docker: FakeDocker,
    small_disk: Path,
    cli: Cli,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    host = BackupHost(repo, engine, docker, small_disk)
    backup(cli)
    (host.hdd / "mailboxes" / BOX / "mail/cur/9.big").write_bytes(b"Subject: 9\n" + bytes(30 << 20))
    refused = cli("backup")
    assert refused.exit_code == 1 and "are free" in " ".join(refused.stderr.split())
    monkeypatch.setattr(take, "RESERVE", -(1 << 40))
    (host.hdd / "mailboxes" / BOX / "mail/cur/10.big").write_bytes(bytes(30 << 20))
    full = cli("backup")
    assert full.exit_code == 1 and "the disk is full" in " ".join(full.stderr.split())
    assert numbers(latest(host).path / "mail") == list(range(30))
    assert [path.name for path in host.hdd.glob("*ly/.*")] == []
    assert host.docker.calls_with("sendmail")


def ids(snapshots: list[snapshot.Snapshot]) -> set[str]:
    return {found.id for found in snapshots}


def test_seven_daily_and_four_weekly_ones_stay(tmp_path: Path) -> None:
    for day in range(1, 12):
        make(tmp_path, f"daily/2026-11-{day:02}")
        make(tmp_path, f"weekly/2026-11-{day:02}")
    gone = publish.expire(tmp_path, "daily/2026-11-11")
    assert set(gone) == {f"daily/2026-11-0{n}" for n in range(1, 5)} | {
        f"weekly/2026-11-0{n}" for n in range(1, 8)
    }
    assert len(snapshot.every(tmp_path)) == 11


def test_failed_snapshots_never_push_out_a_good_one(tmp_path: Path) -> None:
    make(tmp_path, "daily/2026-10-01")
    make(tmp_path, "daily/2026-10-02", failed="mail")
    make(tmp_path, "daily/2026-10-03")
    for day in range(1, 11):
        make(tmp_path, f"daily/2026-11-{day:02}", failed="mysql")
    gone = publish.expire(tmp_path, "daily/2026-11-10")
    assert set(gone) == {"daily/2026-10-02", *(f"daily/2026-11-0{n}" for n in range(1, 4))}


def test_after_the_clock_was_set_back_the_future_goes_first_and_never_the_one_just_taken(
    tmp_path: Path,
) -> None:
    for day in range(1, 9):
        make(tmp_path, f"daily/2199-01-{day:02}")
    make(tmp_path, "daily/2026-01-01")
    assert publish.expire(tmp_path, "daily/2026-01-01") == ["daily/2199-01-01", "daily/2199-01-02"]
    newest = snapshot.latest(tmp_path)
    assert newest is not None and newest.id == "daily/2026-01-01"


def test_what_cannot_be_read_is_left_to_a_person(tmp_path: Path) -> None:
    broken = make(tmp_path, "daily/2020-01-01")
    (broken.path / "manifest.json").write_text("{")
    make(tmp_path, "daily/2026-11-01")
    assert publish.expire(tmp_path, "daily/2026-11-01") == [] and broken.path.exists()


def test_a_removal_that_was_interrupted_is_finished_by_the_next_run(tmp_path: Path) -> None:
    found = make(tmp_path)
    found.path.rename(found.path.with_name(".2026-11-26.removed"))
    publish.clear_leftovers(tmp_path)
    assert list((tmp_path / "daily").iterdir()) == []
