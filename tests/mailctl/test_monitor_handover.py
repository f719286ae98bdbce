"""What the monitor tells usermgmt for its overview, read as usermgmt reads it."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from fakes import FakeDocker, FakeEngine, container
from monitor_scene import DAY, NOW, QUEUE, QUEUED_LOGIN, disks, stack  # noqa: F401 (fixtures)

from mailctl.core.context import Context
from mailctl.core.log_lines import LogLine
from mailctl.core.monitoring import read
from mailctl.monitor.facts import ASK_POSTFIX, Facts
from mailctl.monitor.handover import MEASURE, count_deliveries
from usermgmt.services.host_news import State

HEAD = "Username\tQuota name\tType\tValue\tLimit\t%\n"
ADDRESS = "ada@example.com"
ADA = f"{ADDRESS}\tUser quota\t"
MEASURED = f"{HEAD}{ADA}STORAGE\t12\t1024\t1\n{ADA}MESSAGE\t3\t-\t0\n"


@pytest.fixture
def told(docker: FakeDocker, engine: FakeEngine) -> Callable[[], list[dict[str, Any]]]:
    """What usermgmt was told so far."""
    engine.containers.append(container("dovecot"))
    docker.answer(MEASURE, MEASURED)
    return lambda: [State().load(json.loads(call["stdin"])) for call in docker.calls_with("host-news")]


def test_usermgmt_hears_of_the_server_every_five_minutes_and_of_mailboxes_every_hour(
    stack: Callable[[float], dict[str, Any]], told: Callable[[], list[dict[str, Any]]], engine: FakeEngine
) -> None:
    for minute in range(66):
        stack(60 * minute)
    assert [each["usage"] for each in told()] == [
        {"ada@example.com": 12288},
        *[{}] * 11,
        {"ada@example.com": 12288},
        {},
    ]
    assert (told()[0]["healthy"], told()[0]["services"]) == (6, 6)


def test_what_is_wrong_is_told_with_the_queue(
    stack: Callable[[float], dict[str, Any]],
    told: Callable[[], list[dict[str, Any]]],
    docker: FakeDocker,
    engine: FakeEngine,
) -> None:
    docker.answer(ASK_POSTFIX, QUEUED_LOGIN + QUEUE)
    stack(0)
    [first] = told()
    assert [each["id"] for each in first["incidents"]] == ["relay-login"]
    assert first["queue"] == {"waiting": 1, "deferred": 1, "held": 0, "oldest_at": NOW}


@pytest.mark.parametrize(
    ("word", "answers"),
    [("host-news", {"code": 1}), (MEASURE, {"code": 1}), (MEASURE, {"stdout": "nothing of use\n"})],
    ids=["usermgmt is down", "dovecot takes too long", "dovecot says something else"],
)
def test_what_cannot_be_told_is_tried_again_a_minute_later_and_mailboxes_not(
    word: str,
    answers: dict[str, Any],
    stack: Callable[[float], dict[str, Any]],
    told: Callable[[], list[dict[str, Any]]],
    docker: FakeDocker,
    engine: FakeEngine,
    context: Context,
) -> None:
    docker.answer(word, **answers)
    stack(0)
    assert read(context, "memory")["told"]["problem"]
    docker.answer("host-news", stdout=json.dumps([{"address": ADDRESS, "attempts": 40, "networks": 12}]))
    stack(60)
    opened = {one["id"] for one in stack(120)["incidents"]}
    assert f"guessing-{ADDRESS}" in opened
    assert not told()[-1]["usage"] and not read(context, "memory")["told"]["problem"]
    assert len(docker.calls_with(MEASURE)) == 1


def delivery(to: str, seconds: str, status: str = "sent", part: str = "lmtp", days: int = 0) -> LogLine:
    """As Postfix writes it."""
    text = (
        f"Nov 26 19:27:26 mail postfix/{part}[3]: 4jb64t38NBzJmhw: to=<{to}>, relay=x[192.0.2.1]:24,"
        f" delay={seconds}, delays=0.1/0/0/0.2, dsn=2.0.0, status={status} (250 delay=9999, said)"
    )
    return LogLine(datetime.fromtimestamp(NOW - days * DAY, UTC), "postfix", text)


def test_deliveries_are_counted_by_day_and_by_how_long_they_took(context: Context) -> None:
    ada = "ada@example.com"
    found = [
        *(delivery(ada, seconds) for seconds in ("0.4", "10", "10.1", "599", "3600", "90000")),
        delivery(ada, "5", "deferred", "smtp"),
        delivery(ada, "5", "bounced", "smtp"),
        delivery(ada, "5", days=1),
        delivery(ada, "5", days=20),
        delivery("mailctl-probe@example.com", "5"),
        delivery("ada@a.mailctl-canary.test", "5"),
    ]
    facts = Facts(context, None, {}, NOW, _kept={"lines": found})
    count_deliveries(facts)
    today, yesterday = (f"{datetime.fromtimestamp(NOW - days * DAY, UTC):%Y-%m-%d}" for days in (0, 1))
    assert facts.memory["deliveries"] == {today: [2, 1, 1, 1, 1, 1], yesterday: [1, 0, 0, 0, 0, 0]}
