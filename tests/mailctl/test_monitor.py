"""`mailctl monitor`: runs, with all that follows."""

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import Cli
from fakes import FakeDocker, FakeEngine, container
from monitor_scene import DAY, NOW, QUEUE, QUEUED_LOGIN, disks, receiver, stack  # noqa: F401 (fixtures)

from mailctl.core.context import Context
from mailctl.core.lock import exclusive
from mailctl.core.monitoring import read
from mailctl.monitor import run
from mailctl.monitor.facts import ASK_POSTFIX
from mailctl.monitor.forwards import ASK as ASK_FORWARDS
from mailctl.monitor.host import ASK_SIGNATURES, ASK_SPOOL
from tests.receiver import Receiver


def test_a_quiet_server_has_no_incident_and_all_of_it_was_asked(
    stack: Callable[[float], dict[str, Any]], context: Context, receiver: Receiver
) -> None:
    for minute in range(30):
        state = stack(60 * minute)
        assert [one["text"] for one in state["incidents"]] == []
    assert {name for name, one in read(context, "memory")["answers"].items() if one["unknown"]} == set()
    assert receiver.got == []
    assert state == {
        "version": 1,
        "at": NOW + 29 * 60,
        "host": os.uname().nodename,
        "project": "shop-mail",
        "incidents": [],
    }


def test_an_outage_is_one_alarm_and_one_all_clear(
    stack: Callable[[float], dict[str, Any]], engine: FakeEngine, receiver: Receiver
) -> None:
    stack(0)
    engine.containers[0] = container("postfix", status="exited", exit_code=137)
    states = [stack(60 * minute) for minute in range(1, 12)]
    assert [len(state["incidents"]) for state in states] == [0, *[1] * 10]
    [incident] = states[-1]["incidents"]
    assert incident == {
        "id": "service-postfix",
        "since": NOW + 60,
        "severity": "critical",
        "title": "A service is down",
        "text": "postfix: exited 137",
        "fix": "make status; docs/runbooks/service-unhealthy.md",
    }
    engine.containers[0] = container("postfix")
    assert [len(stack(60 * minute)["incidents"]) for minute in range(12, 20)] == [1, 1, *[0] * 6]
    assert receiver.subjects == ["CRITICAL: A service is down", "all clear: A service is down"]
    alarm = receiver.got[0]["message"]
    assert "postfix: exited 137" in alarm and "fix: make status" in alarm
    assert ".venv/bin/mailctl alarm silence service-postfix --for 2h" in alarm


def test_of_several_hosts_the_one_that_leads_tells_what_all_share_and_nobody_that_it_is_over_before_it_is(
    stack: Callable[[float], dict[str, Any]],
    docker: FakeDocker,
    receiver: Receiver,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    leads = False
    monkeypatch.setattr("mailctl.monitor.cluster.leads", lambda _: leads)
    docker.answer(ASK_SPOOL, json.dumps({"waiting": 3, "oldest": NOW - DAY}))
    failed = {
        "recipient": "ada@example.com",
        "destination": "old@far.example",
        "reason": "refused",
        "at": NOW,
    }
    docker.answer(ASK_FORWARDS, json.dumps({"failed": [failed]}))
    assert stack(0)["incidents"] == []
    leads = True
    assert {one["id"] for one in stack(60)["incidents"]} == {"spool", "forward-old@far.example"}
    leads = False
    assert [stack(3600 * hour)["incidents"] for hour in (1, 2, 3)] == [[], [], []]
    told = ["CRITICAL: Mail waits at Cloudflare", "WARNING: Mail is not forwarded outside"]
    assert sorted(receiver.subjects) == told


def test_an_engine_that_does_not_answer_is_one_alarm_and_not_one_of_each_condition(
    stack: Callable[[float], dict[str, Any]], engine: FakeEngine, receiver: Receiver
) -> None:
    stack(0)
    engine.listing_fails_with = "it is away"
    for minute in range(1, 15):
        stack(60 * minute)
    assert receiver.subjects == ["CRITICAL: Docker does not answer"]


def test_a_condition_that_cannot_be_asked_becomes_a_warning_and_is_no_all_clear(
    stack: Callable[[float], dict[str, Any]], docker: FakeDocker, receiver: Receiver
) -> None:
    refused = json.loads(QUEUED_LOGIN.split("\n")[0])
    docker.answer(ASK_POSTFIX, f"{json.dumps(refused)}\n{QUEUE}")
    stack(0)
    docker.answer(ASK_POSTFIX, "", "the mail system is down", 69)
    states = [stack(60 * minute) for minute in range(1, 20)]
    assert [one["id"] for one in states[3]["incidents"]] == ["relay-login"]
    assert [one["id"] for one in states[-1]["incidents"]] == ["relay-login", "unknown"]
    assert receiver.subjects == [
        "CRITICAL: The relay refuses the log-in",
        "WARNING: The monitor cannot ask everything",
    ]


def test_an_alarm_that_could_not_be_sent_goes_with_the_next_run(
    stack: Callable[[float], dict[str, Any]],
    docker: FakeDocker,
    receiver: Receiver,
    context: Context,
    cli: Cli,
) -> None:
    stack(0)
    receiver.refuses = True
    docker.answer(ASK_POSTFIX, f"{QUEUED_LOGIN}{QUEUE}")
    stack(60)
    [unsent] = json.loads(cli("alarm", "list", "--json").stdout)["unsent"]
    assert "log-in" in unsent["subject"] and "secret" not in unsent["said"]
    waits = [one["id"] for one in [stack(60 * minute) for minute in range(2, 14)][-1]["incidents"]]
    assert waits == ["relay-login", "alarms"]
    receiver.refuses = False
    stack(900)
    assert receiver.subjects[0] == "CRITICAL: The relay refuses the log-in"
    assert read(context, "memory")["outbox"] == []


def test_a_url_that_is_taken_away_is_not_waited_for(
    stack: Callable[[float], dict[str, Any]], docker: FakeDocker, receiver: Receiver, context: Context
) -> None:
    receiver.refuses = True
    docker.answer(ASK_POSTFIX, f"{QUEUED_LOGIN}{QUEUE}")
    stack(0)
    (context.repo / "secrets/alarm_urls").write_text("")
    stack(60)
    assert read(context, "memory")["outbox"] == []


def test_nothing_is_sent_of_what_is_silenced_and_it_is_alarmed_afterwards_if_it_is_still_there(
    stack: Callable[[float], dict[str, Any]], engine: FakeEngine, receiver: Receiver, context: Context
) -> None:
    stack(0)
    run.silence(context, "service", NOW + 601, "moving house", NOW)
    engine.containers[0] = container("postfix", status="exited")
    states = [stack(60 * minute) for minute in range(1, 11)]
    assert receiver.got == [] and all(state["incidents"] == [] for state in states)
    for minute in range(11, 14):
        stack(60 * minute)
    assert receiver.subjects == ["CRITICAL: A service is down"]


def test_nothing_is_sent_while_something_is_deployed_unless_that_is_stuck(
    stack: Callable[[float], dict[str, Any]], engine: FakeEngine, receiver: Receiver, repo: Path
) -> None:
    folder = repo / "ssd/.mailctl/deploy"
    folder.mkdir(parents=True)
    engine.containers[0] = container("postfix", status="exited")
    with exclusive(folder / "lock", "deploy lock", "mailctl deploy", "changing this host"):
        for minute in range(10):
            stack(60 * minute)
        assert receiver.got == []
        os.utime(folder / "lock", (time.time() - 4000,) * 2)
        for minute in range(10, 13):
            stack(60 * minute)
    assert receiver.subjects == ["CRITICAL: A service is down"]


def test_a_second_run_waits_for_the_first(stack: Callable[[float], dict[str, Any]], repo: Path) -> None:
    stack(0)
    done: list[float] = []
    other = threading.Thread(target=lambda: done.append(stack(60)["at"]))
    with exclusive(repo / "ssd/monitor/lock", "monitor", "the monitor", "at work"):
        other.start()
        other.join(0.5)
        assert done == []
    other.join(30)
    assert done == [NOW + 60]


def test_two_alarms_of_one_run_are_both_sent(
    stack: Callable[[float], dict[str, Any]], engine: FakeEngine, docker: FakeDocker, receiver: Receiver
) -> None:
    engine.containers[3] = container("cloudflared", health="unhealthy")
    docker.answer(ASK_POSTFIX, QUEUE.replace("resolves 0", "resolves 2").replace("lookup 0", "no\nlookup 1"))
    for minute in range(4):
        stack(60 * minute)
    assert sorted(receiver.subjects) == [
        "CRITICAL: Names cannot be resolved",
        "CRITICAL: The database does not answer",
        "CRITICAL: The tunnel is disconnected, no mail comes in",
    ]


def test_a_slow_question_is_asked_seldom_and_more_often_while_something_is_wrong(
    stack: Callable[[float], dict[str, Any]], docker: FakeDocker
) -> None:
    def asked(minutes: range) -> int:
        before = len(docker.calls_with(ASK_SIGNATURES))
        for minute in minutes:
            stack(60 * minute)
        return len(docker.calls_with(ASK_SIGNATURES)) - before

    assert asked(range(60)) == 1
    docker.answer(ASK_SIGNATURES, f"{NOW - 5 * DAY:.0f}\n")
    assert asked(range(60, 120)) == 6
    docker.answer(ASK_SIGNATURES, f"{NOW:.0f}\n")
    assert asked(range(120, 180)) == 1


def test_a_damaged_memory_is_begun_anew(
    stack: Callable[[float], dict[str, Any]], repo: Path, context: Context
) -> None:
    (repo / "ssd/monitor/memory.json").write_text("[")
    assert stack(0)["at"] == NOW and read(context, "memory")["began"] == NOW


def test_nothing_heavy_is_loaded_by_a_quiet_run(
    stack: Callable[[float], dict[str, Any]], engine: FakeEngine, docker: FakeDocker
) -> None:
    """What keeps a run under half a second of a processor; a time would depend on the machine."""
    heavy = (
        "apprise",
        "rich",
        "cryptography",
        "boto3",
        "botocore",
        "cloudflare",
        "dns",
        "httpx",
        "jsonschema",
    )
    code = (
        "import sys; from pathlib import Path; from mailctl.core.context import Context;"
        "from mailctl.core.output import Output; from mailctl.monitor.run import once;"
        f"once(Context(Path.cwd(), Output(True)), now={NOW});"
        f"print([name for name in {heavy!r} if name in sys.modules])"
    )
    environ = {**os.environ, "PYTHONPATH": ":".join(sys.path)}
    done = subprocess.run([sys.executable, "-c", code], env=environ, capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stderr
