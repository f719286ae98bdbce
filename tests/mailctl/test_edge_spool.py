"""`mailctl edge spool`: what waits at the edge, and what was refused after the fact."""

import json
import re
import time
from typing import Any

import pytest
from conftest import Cli
from fakes import FakeDocker, FakeEngine, container

REFUSED = {
    "key": "0b9f",
    "at": int(time.time()) - 3600,
    "from": "friend@far.example",
    "to": "reader@example.com",
    "verdict": "refused",
    "text": "postfix: 554 5.7.1 a virus\x1b[31m was found in the attachment of this mail",
    "authenticated": True,
}


@pytest.fixture
def reported(engine: FakeEngine, docker: FakeDocker) -> Any:
    """Have the API give this report."""

    def report(**changes: Any) -> None:
        engine.containers = [container("mailserver-api")]
        now = int(time.time())
        known = {"at": now - 20, "waiting": 12, "bytes": 4_200_000, "oldest": now - 7500, "refused": []}
        docker.answer("python", json.dumps(known | changes))

    return report


def test_what_waits_is_shown_with_its_age(cli: Cli, reported: Any) -> None:
    reported()
    said = cli("edge", "spool").stdout
    assert "12 (4M), the oldest for 2h 5m" in said and "refused" not in said


def test_an_empty_spool_is_said_to_be(cli: Cli, reported: Any) -> None:
    reported(waiting=0, bytes=0, oldest=None)
    assert "nothing" in cli("edge", "spool").stdout


def test_a_thousand_may_be_more(cli: Cli, reported: Any) -> None:
    reported(waiting=1000)
    assert "1000 or more" in cli("edge", "spool").stdout


def test_each_refused_mail_is_shown_with_its_reason_and_steers_no_terminal(cli: Cli, reported: Any) -> None:
    reported(refused=[REFUSED])
    shown = cli("edge", "spool").stdout
    said = " ".join(shown.split())
    assert re.search(r"refused 1h \d+m friend@far.example \(verified\) to reader@example.com", said)
    assert "554 5.7.1 a virus" in said
    assert "\x1b" not in shown and max(map(len, shown.splitlines())) <= 80
    assert json.loads(cli("edge", "spool", "--json").stdout)["refused"] == [REFUSED]


def test_a_sender_whose_address_may_be_forged_is_marked(cli: Cli, reported: Any) -> None:
    reported(refused=[REFUSED | {"authenticated": False}])
    assert "friend@far.example (not verified)" in " ".join(cli("edge", "spool").stdout.split())


def test_a_worker_that_has_stopped_reporting_is_a_warning(cli: Cli, reported: Any) -> None:
    reported(at=int(time.time()) - 7200)
    result = cli("edge", "spool")
    assert "2h 0m ago" in result.stdout and "cron trigger" in " ".join(result.stderr.split())


def test_without_a_report_it_says_what_makes_one(cli: Cli, reported: Any) -> None:
    reported(at=None, waiting=0, bytes=0, oldest=None)
    assert "worker.spool" in cli("edge", "spool").stdout


def test_without_the_api_it_says_so(cli: Cli, engine: FakeEngine, docker: FakeDocker) -> None:
    engine.containers = [container("postfix")]
    result = cli("edge", "spool")
    assert result.exit_code == 1 and "mailserver-api" in result.stderr
