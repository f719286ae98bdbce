"""The host of a server: timers and failure mail by systemd, and every command of the backup documents.

At the end the host is lost, and a new one comes back from git, S3 and the owner's age key alone.
"""

from __future__ import annotations

import email
import email.policy
import json
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import pyrage
import pytest

from tests.stack import damage, hosts
from tests.stack.conftest import TEMPLATE
from tests.stack.damage import done, failed, verify
from tests.stack.documents import (
    BY_THEMSELVES,
    HOW,
    MAIL_BACK,
    MAILBOX_BACK,
    MOVE,
    NEW_HOST,
    OLD_HOST,
    ROLL_BACK,
    START,
    blocks,
    steps,
    tasks,
)
from tests.stack.hosts import ME, PROJECT, commands, do, follow, new_host, send
from tests.stack.machine import Machine
from tests.stack.stack import eventually

sys.path.append(str(TEMPLATE / "tests/mailctl"))
from s3 import REGION, Cloud  # mailctl's own tests use it too

# pytest finds fixtures by name in the module that uses them.
base, folder, origin, host, timers = hosts.base, hosts.folder, hosts.origin, hosts.host, hosts.timers
BUCKET = f"{PROJECT}-example-com-backup"
# A third host.
move = pytest.mark.series("HOST_MOVE")
JOBS = ("backup", "backup-weekly", "purge", "dns", "drill")


def test_setup_makes_nothing_where_a_disk_is_not_mounted(host):
    host.shell("echo 'tmpfs /mnt/disk tmpfs defaults 0 0' >>/etc/fstab && mkdir -p /mnt/disk")
    call = "HDD_PATH=/mnt/disk/mail .venv/bin/mailctl setup"
    refused = host.call(call)
    assert refused.returncode == 1 and "sudo mount /mnt/disk" in refused.stdout
    assert host.shell("ls -A /mnt/disk") == ""
    host.shell("mount /mnt/disk")
    host.shell(call)
    assert "mailboxes" in host.shell("ls /mnt/disk/mail")


def test_a_change_is_deployed_and_rolled_back_as_the_documents_say(host):
    assert "unchanged" in follow(host, "docs/runbooks/deploy.md")
    identity = "-c user.name=operator -c user.email=operator@example.com"
    host.shell("sed -i 's/^delay_warning_time = 4h/delay_warning_time = 3h/' config/postfix/main.cf")
    host.shell(f"git {identity} commit -qam slower")
    deployed = json.loads(host.shell("make deploy ARGS=--json 2>/dev/null"))
    assert deployed["recreated"] == ["postfix"] and all(each["ok"] for each in deployed["canaries"])
    assert "delay_warning_time = 3h" in host.shell("docker compose exec -T postfix postconf -n")
    assert "rolled-back" in do(host, ROLL_BACK)
    assert "delay_warning_time = 4h" in host.shell("docker compose exec -T postfix postconf -n")


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
    cloud = Cloud(hosts.gateway())
    yield cloud
    cloud.stop()


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
    """What the commands of the first day and of the page on backups say, with off-site copies."""
    connect(timers, cloud)
    cloud.make_bucket(BUCKET)
    timers.setting(BACKUP_BUCKET=BUCKET, BACKUP_REGION=REGION, BACKUP_PREFIX=f"{PROJECT}/")
    key = timers.repository / "secrets/aws_uploader_key"
    key.write_text("\n".join(cloud.uploader) + "\n")
    key.chmod(0o400)
    said = {}
    first = [step.text for step in steps(hosts.text_of(timers, START)) if "make backup" in step.text]
    for block in [*first, "make sync", *commands(timers, "docs/backups.md")]:
        said[block] = timers.shell(block)
    return said


@pytest.fixture(scope="module")
def key(kept) -> list[str]:
    """The owner's age keys, the newest last."""
    return [secret_key("".join(kept.values()))]


def test_following_the_guide_ends_with_a_drill_of_disk_and_s3(kept):
    assert kept["make drill\n"].count("passed") == 2


def test_the_timer_of_the_upload_comes_with_the_bucket(kept, timers):
    assert f"{PROJECT}-sync.timer" in timers.shell("systemctl list-timers --all")
    assert timers.shell("make status").count("last good") == 3


@pytest.mark.parametrize("job", ["backup", "backup-weekly", "sync", "drill"])
def test_a_job_does_its_work_within_the_walls_of_its_unit(kept, timers, job):
    began = time.monotonic()
    timers.shell(f"systemctl start {PROJECT}-{job}.service || (journalctl -u {PROJECT}-{job}.service; false)")
    ages = {one["what"]: one for one in json.loads(timers.shell("mailctl status --json"))["backups"]}
    what = job.removesuffix("-weekly")
    assert not ages[what]["failed"] and ages[what]["age_seconds"] <= time.monotonic() - began + 1
    if job == "backup-weekly":
        assert len(list((timers.hdd / "weekly").iterdir())) == 1


def test_the_nightly_purge_works_within_the_walls_of_its_unit(timers):
    timers.shell(f"systemctl start {PROJECT}-purge.service || (journalctl -u {PROJECT}-purge.service; false)")


def test_the_nightly_look_at_dns_works_within_the_walls_of_its_unit(timers):
    """Whatever DNS says to a host of a test, it is no news to the second look."""
    timers.shell("mailctl domain dns || true")
    timers.shell(f"systemctl start {PROJECT}-dns.service || (journalctl -u {PROJECT}-dns.service; false)")
    assert '"checked_at": "2' in timers.shell(
        "docker compose exec -T usermgmt usermgmt api GET /domains/1/dns"
    )


def test_the_monitor_looks_each_minute_within_the_walls_of_its_unit_and_gives_its_figures(timers):
    unit = f"{PROJECT}-monitor.service"
    eventually(lambda: (timers.ssd / "monitor/state.json").exists(), limit=150)

    def looked() -> bool:
        timers.shell(f"systemctl start {unit} || (journalctl -u {unit}; false)")
        memory = json.loads((timers.ssd / "monitor/memory.json").read_text())
        # A container has no clock of its own that systemd could keep.
        unknown = {name for name, answer in memory["answers"].items() if answer["unknown"]}
        assert unknown <= {"clock"}, memory["answers"]
        return True

    # A busy machine may be too slow to answer all of it once.
    eventually(looked, limit=120)
    ask = "import urllib.request as u; print(u.urlopen('http://127.0.0.1:9640/metrics').read().decode())"
    assert "mailserver_monitor_timestamp_seconds" in timers.shell(f'python3 -c "{ask}"')
    assert "ran " in timers.shell("mailctl status || true")
    assert "silenced" in follow(timers, "docs/monitoring.md")


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
    assert "nobody could be told" in timers.shell(
        f"journalctl --sync; journalctl --unit {failed} --priority crit"
    )
    timers.shell("docker compose start postfix")
    timers.healthy()


def test_one_mail_comes_back_as_the_page_says(kept, timers):
    timers.shell(f"docker compose exec -T dovecot doveadm expunge -u {ME} mailbox INBOX header Subject first")
    assert "first" not in timers.subjects(ME)
    do(timers, MAIL_BACK)
    assert {"first", "second"} <= set(timers.subjects(ME, "Restored/INBOX"))
    assert "first" not in timers.subjects(ME)


def test_a_mailbox_comes_back_as_the_page_says(kept, timers):
    shutil.rmtree(timers.hdd / "mailboxes/example.com/me/mail")
    timers.shell("docker compose restart dovecot")
    timers.healthy()
    do(timers, MAILBOX_BACK)
    assert {"first", "second"} <= set(timers.subjects(ME))


def test_a_new_age_key_opens_the_next_snapshot_and_the_lost_one_does_not(kept, key, timers):
    key.append(secret_key(follow(timers, "docs/runbooks/lost-the-key.md")))
    today = max((timers.hdd / "daily").iterdir())
    sealed = (today / "config/env.age").read_bytes()
    opened = pyrage.decrypt(sealed, [pyrage.x25519.Identity.from_str(key[-1])])
    assert b"BACKUP_BUCKET" in opened
    with pytest.raises(pyrage.DecryptError):
        pyrage.decrypt(sealed, [pyrage.x25519.Identity.from_str(key[0])])


def test_data_goes_back_to_a_snapshot_and_forth_again_as_its_runbook_says(kept, timers):
    timers.shell(hosts.ACCOUNT.replace("me@", "later@"))
    assert "later@" not in follow(timers, "docs/runbooks/roll-back-the-data.md")
    assert "later@" in timers.shell(".venv/bin/mailctl user list")


# Each uses what those before it made, as they stand on the page.
PAGE = tasks((TEMPLATE / "{{cookiecutter.project_slug}}/_docs/en" / HOW).read_text())
TASKS = [task for task, text in PAGE.items() if blocks(text) and task not in BY_THEMSELVES]
OLD_MAIL = "From: a@b.example\\nSubject: an old mail\\n\\nhello\\n"


@pytest.fixture(scope="module")
def done_tasks(kept, timers) -> dict[str, subprocess.CompletedProcess[str]]:
    """How the commands of the tasks ended, one task after the other."""
    timers.shell(
        "mkdir -p /root/old-mail/.Old/cur /root/old-mail/.Old/new"
        f" && printf '{OLD_MAIL}' >/root/old-mail/.Old/cur/1.eml"
    )
    timers.shell(hosts.ACCOUNT.replace("me@", "former@"))
    page = tasks(hosts.text_of(timers, HOW))
    return {task: timers.call("\n".join(blocks(page[task]))) for task in TASKS}


@pytest.mark.parametrize("task", TASKS)
def test_each_task_is_done_by_the_commands_that_the_page_gives(done_tasks, task):
    assert done_tasks[task].returncode == 0, done_tasks[task].stdout[-4000:]


def test_old_mail_was_moved_in_and_the_archive_of_a_person_has_it(done_tasks, timers):
    assert timers.subjects("someone@example.com", "Old") == ["an old mail"]
    listed = timers.shell("tar -tf /root/someone.tar")
    assert re.search(r"^someone@example\.com/mail/\.Old/(new|cur)/.+$", listed, re.MULTILINE), listed


def test_the_password_that_the_page_makes_is_the_persons(done_tasks, timers):
    password = re.search(r"password\W+(\S{12,})", done_tasks["Reset a password"].stdout)
    assert password, done_tasks["Reset a password"].stdout
    test = f"docker compose exec -T dovecot doveadm auth test someone@example.com '{password[1]}'"
    assert "auth succeeded" in timers.shell(test)


@pytest.fixture(scope="module")
def sound(kept, timers) -> Machine:
    """The host with its backups made, which `make verify` finds nothing wrong with: by SSH, as from afar."""
    timers.shell("mkdir -p ~/.ssh && ssh-keygen -qN '' -t ed25519 -f ~/.ssh/id_ed25519")
    timers.shell("cp ~/.ssh/id_ed25519.pub ~/.ssh/authorized_keys; ssh-keyscan localhost >~/.ssh/known_hosts")
    if files := timers.env.get("COMPOSE_FILE"):
        # Stand-ins are the only thing of these tests that a log-in over SSH must be told.
        timers.shell(f"echo 'SetEnv COMPOSE_FILE={files}' >/etc/ssh/sshd_config.d/standins.conf")
        timers.shell("systemctl reload ssh")
    # What earlier tests broke on purpose has been looked after.
    timers.shell("systemctl reset-failed && make backup")
    timers.healthy()
    follow(timers, "docs/host.md")
    follow(timers, "docs/runbooks/disk-not-there.md")
    timers.shell(f"make verify ARGS='--host ssh://root@localhost --path {timers.repository}'")
    return timers


def test_the_report_of_a_sound_host_is_for_people_and_programs(sound):
    cases = ElementTree.parse(sound.repository / "reports/verify.xml").getroot().iter("testcase")  # noqa: S314
    assert len(list(cases)) > 35
    page = (sound.repository / "reports/verify.html").read_text()
    assert "All is well" in page and page.count("<svg") >= 5


def test_the_report_fits_a_phone_and_asks_for_nothing_from_elsewhere(sound, browser):
    page, asked = browser.new_page(viewport={"width": 360, "height": 740}, color_scheme="dark"), []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(f"file://{sound.repository}/reports/verify.html")
    assert len(asked) == 1
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(13, 17, 23)"


@pytest.mark.parametrize("damage", damage.CHOSEN, ids=lambda one: one.name)
def test_damage_is_found_by_the_test_that_it_belongs_to_and_no_other(sound, damage):
    with done(sound, PROJECT, damage):
        found = failed(verify(sound))
    assert list(found) == [damage.found], found


def test_much_damage_at_once_is_found_by_all_of_its_tests_and_no_other(sound):
    with done(sound, PROJECT, *damage.TOGETHER):
        found = failed(verify(sound))
    assert found.keys() == {one.found for one in damage.TOGETHER}, found


@pytest.fixture(scope="module")
def new(
    kept, key, timers, cloud, folder, base, origin, images
) -> Iterator[tuple[Machine, dict[bytes, bytes]]]:
    """A new host after the loss of the first, from git, S3 and the age key; and the mails of before."""
    # What was damaged last is mended, and may still be starting.
    timers.healthy()
    send(timers, "the last before the loss")
    timers.shell("make backup && make sync")
    before = timers.mails(ME)
    signer = json.loads(timers.shell("mailctl backup-key --signer --json 2>/dev/null"))["signed_by"]
    timers.shell("docker compose down --volumes --timeout 5")
    timers.end()
    shutil.rmtree(timers.home)
    machine = new_host(folder, 2, base, origin, images.standins)
    try:
        person = dict(zip(("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"), cloud.administrator, strict=True))
        connect(machine, cloud, AWS_REGION=REGION, **person)
        machine.shell(f"umask 077; printf '%s\\n' '{signer}' {key[-1]} >/run/age-key.txt")
        follow(machine, "docs/runbooks/lost-the-host.md")
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


# What a mail program of the reader does, from inside; no relay answers these hosts, so the mail waits.
SUBMIT = """import smtplib
with smtplib.SMTP("postfix", 587) as program:
    program.starttls()
    program.login("me@example.com", "a-Password-of-mine-1")
    mail = "From: me@example.com\\r\\nSubject: carried\\r\\n\\r\\nhello"
    program.sendmail("me@example.com", ["you@elsewhere.example"], mail)"""


def queue_of(machine: Machine) -> list[str]:
    return [mail["id"] for mail in json.loads(machine.shell("mailctl queue list --json"))["mails"]]


@pytest.fixture(scope="module")
def moved(new, key, cloud, folder, base, origin, images) -> Iterator[tuple[Machine, dict[str, object]]]:
    """A third host after a planned move by S3, and what was true of the second one."""
    old, _ = new
    old.healthy()
    old.shell(f"docker compose exec -T mailserver-api python -c '{SUBMIT}'")
    before: dict[str, object] = {"mails": old.mails(ME), "queue": eventually(lambda: queue_of(old))}
    signer = json.loads(old.shell("mailctl backup-key --signer --json 2>/dev/null"))["signed_by"]
    page = steps(hosts.text_of(old, MOVE))
    for step in page:
        if step.place == OLD_HOST:
            old.shell(step.text.replace("--yes", "--yes --wait 1"))
    machine = new_host(folder, 3, base, origin, images.standins)
    try:
        shutil.copytree(old.hdd / ".mailctl/move", machine.home / "move")
        # Both share this machine's engine, so the old host's containers must go first.
        old.shell("docker compose down --volumes --timeout 5")
        person = dict(zip(("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"), cloud.administrator, strict=True))
        connect(machine, cloud, AWS_REGION=REGION, **person)
        machine.shell(f"umask 077; cp -r {machine.home}/move /root/move")
        machine.shell(f"umask 077; printf '%s\\n' '{signer}' {key[-1]} >/run/age-key.txt")
        said = [machine.shell(step.text) for step in page if step.place == NEW_HOST]
        yield machine, before | {"said": "".join(said)}
    finally:
        machine.call("docker compose down --volumes --remove-orphans --timeout 5")
        machine.end()


@move
def test_after_a_planned_move_every_mail_is_read_on_the_new_host(moved):
    machine, before = moved
    assert machine.mails(ME) == before["mails"]


@move
def test_what_waited_in_the_queue_waits_on_the_new_host(moved):
    machine, before = moved
    assert before["queue"] and set(before["queue"]) <= set(queue_of(machine))


@move
def test_the_seconds_without_service_are_said(moved):
    assert re.search(r"without service for \d+ seconds", moved[1]["said"]), moved[1]["said"]


@move
def test_after_a_planned_move_mail_arrives_again(moved):
    send(moved[0], "the first after the move")
