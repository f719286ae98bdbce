"""Alarms that leave by Cloudflare: the Worker in its runtime with KV and send_email, and the real API."""

from __future__ import annotations

from collections.abc import Iterator
from time import time

import pytest

from tests.apps.edge import ADMIN, ALARM, Edge

QUEUE = {
    "id": "queue-age",
    "since": 1,
    "severity": "critical",
    "title": "Mail waits",
    "text": "x",
    "fix": "y",
}


@pytest.fixture
def edge(program, tmp_path, api) -> Iterator[Edge]:
    worker = Edge(program, tmp_path / "edge", api.url, spool=False, alarms=True)
    worker.start()
    yield worker
    worker.kill()


def test_each_incident_and_a_silent_host_is_one_alarm_and_one_all_clear_also_over_a_new_worker(edge, api):
    api.start()
    api.monitor(at=int(time()), host="mx", incidents=[QUEUE])
    edge.cron(0)
    edge.cron(60)
    (mail,) = edge.alarms_sent()
    assert (mail["From"], mail["To"]) == (ALARM, ADMIN)
    assert "To fix it: y" in mail.get_content()
    edge.kill()
    edge.start()
    edge.cron(120)
    api.stop()
    for minute in range(3, 9):
        edge.cron(60 * minute)
    api.start()
    api.monitor(at=int(time()) + 600, host="mx", incidents=[])
    edge.cron(600)
    edge.cron(660)
    subjects = [mail["Subject"] for mail in edge.alarms_sent()]
    assert subjects == [
        "[mx] ALARM: Mail waits",
        "[mx] ALARM: The host is silent",
        "[mx] all clear: Mail waits",
        "[mx] all clear: The host is silent",
    ]
