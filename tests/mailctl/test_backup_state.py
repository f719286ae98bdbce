"""One run at a time, and its result is kept: lock, state of the last runs, mail to the admin."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from fakes import FakeDocker, FakeEngine, container

from mailctl.core import disk_locks as lock
from mailctl.core import job_results, notify
from mailctl.core.context import Context
from mailctl.core.errors import Refused

HOLDER = """
import sys, pathlib
from mailctl.core.disk_locks import exclusive
from mailctl.core.context import Context
from mailctl.core.output import Output
with exclusive(Context(pathlib.Path(sys.argv[1]), Output()), "backup"):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def disk(context: Context) -> Path:
    hdd = context.repo / "hdd"
    (hdd / "mailboxes").mkdir(parents=True)
    context.environ = {"HDD_PATH": str(hdd)}
    return hdd


def test_a_second_run_is_refused_with_who_holds_the_lock_until_that_one_is_dead(
    context: Context, disk: Path
) -> None:
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(context.repo)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "HDD_PATH": str(disk), "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert holder.stdout is not None and holder.stdout.readline() == b"held\n"
    with (
        pytest.raises(Refused, match=rf"backup \(process {holder.pid}\) is working"),
        lock.exclusive(context, "sync"),
    ):
        pass
    holder.send_signal(signal.SIGKILL)
    holder.communicate()
    with lock.exclusive(context, "sync"):
        assert (disk / lock.NAME).read_text() == f"{os.getpid()} sync\n"


def test_a_disk_that_is_not_mounted_is_told_and_not_written_to(context: Context, disk: Path) -> None:
    (disk / "mailboxes").rmdir()
    with pytest.raises(Refused, match="is the disk mounted"), lock.exclusive(context, "backup"):
        pass
    assert list(disk.iterdir()) == []


def test_the_last_good_run_is_remembered_through_failed_ones(context: Context, disk: Path) -> None:
    assert job_results.last(context, "backup") is None
    job_results.record(context, "backup", True, {"id": "daily/2026-11-25"})
    job_results.record(context, "backup", False, {"id": "daily/2026-11-26"})
    found = job_results.last(context, "backup")
    assert found is not None and not found["ok"] and found["document"] == {"id": "daily/2026-11-26"}
    assert found["last_good"]["document"] == {"id": "daily/2026-11-25"}
    metrics = (disk / ".mailctl/backup.prom").read_text()
    assert "mailserver_backup_last_run_success 0\n" in metrics
    assert f"mailserver_backup_last_success_timestamp_seconds {found['last_good']['at']:.0f}\n" in metrics


def test_a_damaged_state_counts_as_none(context: Context, disk: Path) -> None:
    job_results.record(context, "backup", True, {})
    (disk / ".mailctl/backup.json").write_text("[")
    assert job_results.last(context, "backup") is None
    job_results.record(context, "backup", False, {})


def test_the_mail_to_the_admin_goes_through_postfix(
    context: Context, engine: FakeEngine, docker: FakeDocker
) -> None:
    engine.containers = [container("postfix")]
    assert notify.tell(context, "backup failed", "Café is full.")
    call = docker.calls_with("sendmail")[0]
    assert call["arguments"][-6:] == [
        "sendmail",
        "-i",
        "-f",
        "postmaster@example.com",
        "--",
        "admin@example.com",
    ]


def test_a_mail_that_cannot_be_sent_is_a_warning(
    context: Context, engine: FakeEngine, docker: FakeDocker, capsys: pytest.CaptureFixture[str]
) -> None:
    assert not notify.tell(context, "backup failed", "text")
    assert "no mail was sent to admin@example.com" in capsys.readouterr().err
    engine.containers = [container("postfix")]
    docker.answer("sendmail", stderr="queue is full", code=1)
    assert not notify.tell(context, "backup failed", "text")
    assert "queue is full" in capsys.readouterr().err
