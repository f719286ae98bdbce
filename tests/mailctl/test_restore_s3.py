"""`mailctl restore --from s3://…`: what comes back is what comes back from the disk."""

import json
from pathlib import Path

import pytest
from conftest import Cli
from fakes import FakeDocker, FakeEngine, container
from restore_scene import Sealed, mail, make_snapshot, tree, write_mailbox
from s3 import BUCKET, PREFIX

from mailctl.backup.offsite import download
from mailctl.backup.offsite.upload import upload
from mailctl.core import encryption
from mailctl.core.context import Context
from mailctl.core.snapshots import Snapshot

ME, BOB, ID = "me@example.com", "bob@example.com", "daily/2026-11-20"
THEN = {"INBOX": {"1.one:2,S": mail("one"), "2.two": mail("two")}, "Empty": {}}
NOW = {"INBOX": {"9.nine:2,S": mail("nine")}}


@pytest.fixture
def copied(
    offsite: Path, repo: Path, context: Context, cli: Cli, docker: FakeDocker, engine: FakeEngine
) -> Snapshot:
    """A snapshot that is in S3, mail of today on disk, and a Docker that does what it is told."""
    (offsite / "ssd" / "mariadb").mkdir(parents=True)
    with (repo / ".env").open("a") as file:
        file.write(f"SSD_PATH={offsite}/ssd\n")
    for address in (ME, BOB):
        write_mailbox(offsite / "mailboxes", address, NOW)
    made = make_snapshot(offsite, ID, {ME: THEN, BOB: THEN}, Sealed(encryption.recipients(context)))
    upload(context)
    assert cli("secrets", "init").exit_code == 0
    engine.containers = [container("dovecot"), container("mariadb")]
    return made


def test_links_empty_folders_and_the_time_of_each_mail_travel(
    copied: Snapshot, context: Context, tmp_path: Path
) -> None:
    back = download.fetch(context, "latest", tmp_path)
    assert tree(back.path) == tree(copied.path)
    for path in copied.path.rglob("cur/*"):
        assert (back.path / path.relative_to(copied.path)).stat().st_mtime_ns == path.stat().st_mtime_ns
    assert (back.path / "mail/example.com/me/mail/.Empty/cur").is_dir()


@pytest.mark.parametrize("lost", [False, True], ids=["with the host's key", "with the owner's key"])
def test_mail_is_restored_from_s3(lost: bool, copied: Snapshot, cli: Cli, repo: Path) -> None:
    key = ("--identity", repo / "owner.key") if lost else ()
    if lost:
        (repo / "secrets" / "backup_age_identity").unlink()
    uri = f"s3://{BUCKET}/{PREFIX}{ID}"
    result = cli("restore", "--from", uri, "--component", "mail", "--yes", "--json", *key)
    assert result.exit_code == 0, result.output
    hdd = copied.path.parents[1]
    assert tree(hdd / "mailboxes") == tree(copied.path / "mail")
    assert json.loads(result.stdout)["ok"]
    assert not (hdd / ".mailctl" / "fetched").exists()
