"""The host of a server: timers and failure mail by systemd, and every command of the backup documents.

At the end the host is lost, and a new one comes back from git, S3 and the owner's age key alone.
"""

from __future__ import annotations

import email
import email.policy
import json
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pyrage
import pytest
from cookiecutter.main import cookiecutter

from tests.stack.conftest import PREFIX, TEMPLATE
from tests.stack.documents import blocks
from tests.stack.machine import Machine
from tests.stack.stack import eventually, run
from tools import standins

sys.path.append(str(TEMPLATE / "{{cookiecutter.project_slug}}/mailctl/tests"))
from s3 import REGION, Cloud  # mailctl's own tests use it too

PROJECT = f"{PREFIX}-host"
ME = "me@example.com"
MAIL = "From: a@b.example\r\nTo: me@example.com\r\nSubject: {}\r\nMessage-ID: <{}@b.example>\r\n\r\nhello\r\n"
ACCOUNT = """docker compose exec -T usermgmt usermgmt domain add example.com --if-missing
printf %s 'a-Password-of-mine-1' | docker compose exec -T usermgmt usermgmt mailbox add me@example.com \
  --password-stdin --quota 2G --name Me --if-missing"""
BUCKET = f"{PROJECT}-example-com-backup"
JOBS = ("backup", "backup-weekly", "drill")


def send(machine: Machine, *subjects: str) -> None:
    """Deliver mails, and wait until the reader has them."""
    for subject in subjects:
        machine.deliver(ME, MAIL.format(subject, subject.replace(" ", ".")).encode())
    eventually(lambda: set(subjects) <= set(machine.subjects(ME)), limit=60)


@pytest.fixture(scope="module")
def base(images) -> str:
    """What the host's image starts from."""
    return "standin/debian:trixie-slim" if images.standins else "debian:trixie-slim"


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """The hosts' disks. Not below /tmp, which the units do not see: they have one of their own."""
    with tempfile.TemporaryDirectory(dir="/srv", prefix=f"{PROJECT}-") as path:
        yield Path(path)


@pytest.fixture(scope="module")
def origin(folder) -> Path:
    """The operator's git repository, elsewhere: the defaults, committed."""
    work = folder / "work"
    cookiecutter(str(TEMPLATE), no_input=True, extra_context={"project_slug": PROJECT}, output_dir=str(work))
    identity = ("-c", "user.name=operator", "-c", "user.email=operator@example.com")
    for words in (("init", "-q", "-b", "main"), ("add", "-A"), (*identity, "commit", "-qm", "first")):
        run("git", *words, cwd=work / PROJECT)
    run("git", "clone", "-q", "--bare", str(work / PROJECT), str(folder / "origin.git"), cwd=folder)
    shutil.rmtree(work)
    return folder / "origin.git"


def new_host(folder: Path, number: int, base: str, origin: Path, standin: bool) -> Machine:
    """A machine with nothing but the clone of the repository, and the disks of its own in .env."""
    machine = Machine.start(f"{PROJECT}-{number}", folder / f"host{number}", base, origin)
    try:
        machine.shell(f"git clone -q {origin} {machine.repository}", cwd=machine.home)
        machine.shell("cp .env.example .env")
        machine.setting(SSD_PATH=machine.ssd, HDD_PATH=machine.hdd, ADMIN_EMAIL=ME)
        if standin:
            override = shutil.copy(standins.override(machine.repository), machine.home / "standins.yml")
            machine.env = {"COMPOSE_FILE": f"{machine.repository}/docker-compose.yml:{override}"}
            machine.shell('systemctl set-environment COMPOSE_FILE="$COMPOSE_FILE"')
    except BaseException:
        machine.end()
        raise
    return machine


@pytest.fixture(scope="module")
def host(images, folder, base, origin) -> Iterator[Machine]:
    """The running server on its first host, with one account and two mails."""
    machine = new_host(folder, 1, base, origin, images.standins)
    try:
        machine.shell("make setup")
        machine.shell("make deploy")
        machine.shell(ACCOUNT)
        send(machine, "first", "second")
        yield machine
    finally:
        machine.call("docker compose down --volumes --remove-orphans --timeout 5")
        machine.end()


def test_setup_makes_nothing_where_a_disk_is_not_mounted(host):
    host.shell("echo 'tmpfs /mnt/disk tmpfs defaults 0 0' >>/etc/fstab && mkdir -p /mnt/disk")
    call = "HDD_PATH=/mnt/disk/mail .venv/bin/mailctl setup"
    refused = host.call(call)
    assert refused.returncode == 1 and "sudo mount /mnt/disk" in refused.stdout
    assert host.shell("ls -A /mnt/disk") == ""
    host.shell("mount /mnt/disk")
    host.shell(call)
    assert "mailboxes" in host.shell("ls /mnt/disk/mail")


def test_a_change_is_deployed_and_rolled_back_as_the_runbooks_say(host):
    assert "unchanged" in follow(host, "docs/runbooks/deploy.md")
    identity = "-c user.name=operator -c user.email=operator@example.com"
    host.shell("sed -i 's/^delay_warning_time = 4h/delay_warning_time = 3h/' config/postfix/main.cf")
    host.shell(f"git {identity} commit -qam slower")
    deployed = json.loads(host.shell("make deploy ARGS=--json 2>/dev/null"))
    assert deployed["recreated"] == ["postfix"] and all(each["ok"] for each in deployed["canaries"])
    assert "delay_warning_time = 3h" in host.shell("docker compose exec -T postfix postconf -n")
    assert "rolled-back" in follow(host, "docs/runbooks/roll-back.md")
    assert "delay_warning_time = 4h" in host.shell("docker compose exec -T postfix postconf -n")


@pytest.fixture(scope="module")
def timers(host) -> Machine:
    """The host after `make setup-host`."""
    host.shell("make setup-host")
    return host


def test_systemd_has_nothing_to_say_about_the_units(timers):
    assert timers.shell(f"systemd-analyze verify /etc/systemd/system/{PROJECT}-*").strip() == ""


def test_every_timer_waits_for_its_next_run(timers):
    listed = timers.shell(f"systemctl list-timers --all '{PROJECT}-*'")
    assert [name for name in JOBS if f"{PROJECT}-{name}.timer" not in listed] == []
    for name in JOBS:
        assert "2" in timers.shell(f"systemctl show {PROJECT}-{name}.timer -p NextElapseUSecRealtime --value")


def test_a_second_setup_changes_nothing(timers):
    assert "Nothing to change" in timers.shell("make setup-host")


def test_mailctl_is_found_in_every_folder(timers):
    assert f"{PROJECT}: all" in timers.shell("mailctl status", cwd=Path("/"))


def test_what_setup_made_can_be_removed(timers):
    timers.shell("mailctl host remove")
    assert timers.shell("ls /etc/systemd/system /usr/local/bin").count(PROJECT) == 0
    assert "0 timers listed" in timers.shell(f"systemctl list-timers --all '{PROJECT}-*'")
    timers.shell("make setup-host")


# What a person does at the "text" blocks of the documents: the bucket, its key, a file with the age key.
@pytest.fixture(scope="module")
def cloud() -> Iterator[Cloud]:
    """S3 in memory, where the engine's containers reach it."""
    gateway = run(
        *("docker", "network", "inspect", "bridge", "--format", "{{(index .IPAM.Config 0).Gateway}}"),
        cwd=TEMPLATE,
    )
    cloud = Cloud(gateway.strip())
    yield cloud
    cloud.stop()


def commands(machine: Machine, document: str) -> list[str]:
    """The commands of a document, with this host's disks in place of the answered ones."""
    text = (machine.repository / document).read_text()
    for answered, own in ((f"/srv/{PROJECT}/ssd", machine.ssd), (f"/mnt/backup-hdd/{PROJECT}", machine.hdd)):
        text = text.replace(answered, str(own))
    return blocks(text)


def follow(machine: Machine, document: str) -> str:
    """Execute every command of a document, and return all that was said."""
    return "".join(machine.shell(block) for block in commands(machine, document))


def secret_key(said: str) -> str:
    found = re.findall(r"AGE-SECRET-KEY-1[A-Z0-9]+", said)
    assert found, said
    return found[0]


def connect(machine: Machine, cloud: Cloud, **env: str) -> None:
    """Let the machine find S3; `env` is a person's way in."""
    machine.env = {**machine.env, "AWS_ENDPOINT_URL": cloud.endpoint, **env}
    machine.shell('systemctl set-environment AWS_ENDPOINT_URL="$AWS_ENDPOINT_URL"')


@pytest.fixture(scope="module")
def kept(timers, cloud) -> dict[str, str]:
    """What the commands of the guide to backups say, with off-site copies."""
    connect(timers, cloud)
    cloud.make_bucket(BUCKET)
    timers.setting(BACKUP_BUCKET=BUCKET, BACKUP_REGION=REGION, BACKUP_PREFIX=f"{PROJECT}/")
    key = timers.repository / "secrets/aws_uploader_key"
    key.write_text("\n".join(cloud.uploader) + "\n")
    key.chmod(0o400)
    said = {}
    for block in commands(timers, "docs/backups.md"):
        said[block] = timers.shell(block)
        if "make backup\n" in block:
            said["make sync"] = timers.shell("make sync")
    return said


@pytest.fixture(scope="module")
def key(kept) -> list[str]:
    """The owner's age keys, the newest last."""
    return [secret_key(kept["make backup-key\n"])]


def test_following_the_guide_ends_with_a_drill_of_disk_and_s3(kept):
    assert kept["make drill\n"].count("passed") == 2


def test_the_timer_of_the_upload_comes_with_the_bucket(kept, timers):
    assert f"{PROJECT}-sync.timer" in timers.shell("systemctl list-timers --all")
    assert timers.shell("make status").count("last good") == 3


@pytest.mark.parametrize("job", ["backup", "backup-weekly", "sync", "drill"])
def test_a_job_does_its_work_within_the_walls_of_its_unit(kept, timers, job):
    timers.shell(f"systemctl start {PROJECT}-{job}.service || (journalctl -u {PROJECT}-{job}.service; false)")
    ages = {one["what"]: one for one in json.loads(timers.shell("mailctl status --json"))["backups"]}
    what = job.removesuffix("-weekly")
    assert not ages[what]["failed"] and ages[what]["age_seconds"] < 60
    if job == "backup-weekly":
        assert len(list((timers.hdd / "weekly").iterdir())) == 1


@pytest.fixture
def broken(kept, timers) -> Iterator[str]:
    """A host whose next snapshot must fail; its service."""
    right = timers.setting(BACKUP_AGE_RECIPIENTS="not-a-key")
    yield f"{PROJECT}-backup"
    timers.setting(BACKUP_AGE_RECIPIENTS=right)


def test_a_failed_job_is_told_by_mail(broken, timers):
    assert timers.call(f"systemctl start {broken}.service").returncode
    mail = eventually(lambda: [m for m in timers.mails(ME) if b"-backup failed" in m], limit=60)[0]
    text = email.message_from_bytes(mail, policy=email.policy.default).get_content()
    assert "BACKUP_AGE_RECIPIENTS" in text and f"systemctl status {broken}" in text


def test_without_postfix_the_journal_has_it_and_systemd_shows_it(broken, timers):
    timers.shell("docker compose stop postfix")
    assert timers.call(f"systemctl start {broken}.service").returncode
    failed = f"{PROJECT}-failed@{broken}.service"
    eventually(lambda: failed in timers.shell("systemctl --failed --plain"), limit=60)
    assert "no mail could be sent" in timers.shell(f"journalctl --unit {failed} --priority crit")
    timers.shell("docker compose start postfix")
    timers.healthy()


def test_one_mail_comes_back_as_its_runbook_says(kept, timers):
    timers.shell(f"docker compose exec -T dovecot doveadm expunge -u {ME} mailbox INBOX header Subject first")
    assert "first" not in timers.subjects(ME)
    follow(timers, "docs/runbooks/lost-one-mail.md")
    assert {"first", "second"} <= set(timers.subjects(ME, "Restored/INBOX"))
    assert "first" not in timers.subjects(ME)


def test_a_mailbox_comes_back_as_its_runbook_says(kept, timers):
    shutil.rmtree(timers.hdd / "mailboxes/example.com/me/mail")
    timers.shell("docker compose restart dovecot")
    timers.healthy()
    follow(timers, "docs/runbooks/lost-one-mailbox.md")
    assert {"first", "second"} <= set(timers.subjects(ME))


def test_a_new_age_key_opens_the_next_snapshot_and_the_lost_one_does_not(kept, key, timers):
    key.append(secret_key(follow(timers, "docs/runbooks/lost-the-key.md")))
    today = max((timers.hdd / "daily").iterdir())
    sealed = (today / "config/env.age").read_bytes()
    opened = pyrage.decrypt(sealed, [pyrage.x25519.Identity.from_str(key[-1])])
    assert b"BACKUP_BUCKET" in opened
    with pytest.raises(pyrage.DecryptError):
        pyrage.decrypt(sealed, [pyrage.x25519.Identity.from_str(key[0])])


@pytest.fixture(scope="module")
def new(
    kept, key, timers, cloud, folder, base, origin, images
) -> Iterator[tuple[Machine, dict[bytes, bytes]]]:
    """A new host after the loss of the first, from git, S3 and the age key; and the mails of before."""
    send(timers, "the last before the loss")
    timers.shell("make backup && make sync")
    before = timers.mails(ME)
    timers.shell("docker compose down --volumes --timeout 5")
    timers.end()
    shutil.rmtree(timers.home)
    machine = new_host(folder, 2, base, origin, images.standins)
    try:
        person = dict(zip(("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"), cloud.administrator, strict=True))
        connect(machine, cloud, AWS_REGION=REGION, **person)
        machine.shell(f"umask 077; echo {key[-1]} >/run/age-key.txt")
        for block in commands(machine, "docs/runbooks/lost-the-host.md"):
            machine.shell(block)
            if ".env.example" in block:
                machine.setting(SSD_PATH=machine.ssd, HDD_PATH=machine.hdd)
        yield machine, before
    finally:
        machine.call("docker compose down --volumes --remove-orphans --timeout 5")
        machine.end()


def test_after_the_loss_of_the_host_every_mail_is_read_over_imap(new):
    machine, before = new
    assert "the last before the loss" in machine.subjects(ME)
    assert machine.mails(ME) == before


def test_and_its_reader_logs_in_with_the_password_of_before(new):
    machine, _ = new
    assert "auth succeeded" in machine.shell(
        f"docker compose exec -T dovecot doveadm auth test {ME} a-Password-of-mine-1"
    )


def test_and_mail_arrives_again(new):
    send(new[0], "the first after the loss")
