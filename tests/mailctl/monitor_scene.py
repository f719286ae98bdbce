"""A server that the monitor looks at, on a fake engine: quiet, until a test breaks something of it."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from conftest import ENV
from fakes import FakeDocker, FakeEngine, container

from mailctl.core.context import Context
from mailctl.core.monitoring import leave
from mailctl.monitor import run
from mailctl.monitor.facts import ASK_POSTFIX
from mailctl.monitor.forwards import ASK as ASK_FORWARDS
from mailctl.monitor.host import ASK_SIGNATURES, ASK_SPOOL
from tests.receiver import Receiver

NOW = 1_790_000_000.0
DAY, HOUR = 86400, 3600
COMPOSE = """name: shop-mail
services:
  postfix: {}
  usermgmt: {}
  clamav: {}
  cloudflared: {profiles: [edge]}
"""
NAMES = ("postfix", "usermgmt", "clamav", "cloudflared")


@pytest.fixture(autouse=True)
def disks(repo: Path) -> Path:
    """Both disks, on the file system of the tests; an engine whose tunnel is on."""
    (repo / "docker-compose.yml").write_text(COMPOSE)
    (repo / "edge").mkdir()
    (repo / "edge/edge.yml").write_text("worker: {spool: {days: 14}}\n")
    for folder in ("ssd", "hdd/mailboxes", "secrets"):
        (repo / folder).mkdir(parents=True)
    (repo / ".env").write_text(f"{ENV}SSD_PATH=./ssd\nHDD_PATH=./hdd\nCOMPOSE_PROFILES=edge\n")
    return repo


def room(used: float, free: int = 1 << 36, inodes: float = 10) -> Any:
    """What statvfs says of a disk that is `used` percent full."""
    blocks = int(free / 4096 / (1 - used / 100))
    return SimpleNamespace(
        f_frsize=4096,
        f_blocks=blocks,
        f_bavail=free // 4096,
        f_files=10**6,
        f_favail=int(10**6 * (1 - inodes / 100)),
    )


@pytest.fixture
def receiver(repo: Path) -> Iterator[Receiver]:
    with Receiver() as there:
        (repo / "secrets/alarm_urls").write_text(f"# the phone\n{there.url}\n")
        yield there


ID = "4jb64t38NBzJmhw"
LOGIN = "SASL authentication failed; server smtp.relay.example[192.0.2.1] said: 535 Authentication failed"
QUEUE = "---\nlookup 0\nresolves 0 smtp.relay.example\n"
QUEUED_LOGIN = (
    json.dumps(
        {
            "queue_name": "deferred",
            "queue_id": ID,
            "arrival_time": int(NOW),
            "message_size": 1,
            "sender": "ada@example.com",
            "recipients": [{"address": "bob@far.example", "delay_reason": LOGIN}],
        }
    )
    + "\n"
)


@pytest.fixture
def stack(
    engine: FakeEngine, docker: FakeDocker, context: Context, monkeypatch: pytest.MonkeyPatch
) -> Callable[[float], dict[str, Any]]:
    """A quiet server; called with the seconds since the beginning, the monitor runs."""
    # What `mailctl status` said when the monitor began is true all the time.
    monkeypatch.setattr("mailctl.monitor.host.STATUS_SECONDS", 10 * DAY)
    engine.containers = [container(name) for name in (*NAMES, "mailserver-api")]
    docker.answer(ASK_POSTFIX, QUEUE)
    docker.answer(ASK_SIGNATURES, f"{NOW:.0f}\n")
    docker.answer(ASK_FORWARDS, json.dumps({"failed": []}))
    # Cloudflare is another test's.
    monkeypatch.setattr("mailctl.monitor.forwards._addresses", lambda _: [])
    docker.answer(ASK_SPOOL, json.dumps({"waiting": 0, "oldest": None}))
    (docker.folder / "timedatectl").write_text("#!/bin/sh\necho yes\n")
    (docker.folder / "timedatectl").chmod(0o755)
    begin(context, NOW)

    def look(seconds: float) -> dict[str, Any]:
        context.environ = {}
        return run.once(context, now=NOW + seconds, statvfs=lambda _: room(10))

    return look


def begin(context: Context, at: float) -> None:
    """A monitor that has looked once, and heard of `mailctl status` that all is well."""
    good = {"at": at, "found": [], "unknown": ""}
    answers = {"drift": good, "certificate": good}
    leave(context, "memory", {"began": at, "answers": answers, "status": {"at": at, "lines": []}})
