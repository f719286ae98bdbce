"""What `mailctl alarm`, `status` and the figures show of the monitor."""

import json
import re
import subprocess
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import Cli
from fakes import FakeDocker, FakeEngine, container
from monitor_scene import NOW, QUEUE, QUEUED_LOGIN, begin, disks, receiver, stack  # noqa: F401 (fixtures)

from mailctl.core import job_results, notify
from mailctl.core.context import Context
from mailctl.core.monitoring import leave, read
from mailctl.deploy.records import Records
from mailctl.monitor import conditions
from mailctl.monitor.facts import ASK_POSTFIX
from mailctl.monitor.host import ASK_SIGNATURES
from mailctl.monitor.serve import server
from tests.places import REPOSITORY
from tests.receiver import Receiver


def test_every_way_is_tried_by_hand_and_the_workers_mail_waits_for_its_cron(
    cli: Cli, receiver: Receiver, repo: Path, stack: Callable[[float], dict[str, Any]], context: Context
) -> None:
    leave(context, "state", {"version": 1, "at": NOW, "incidents": []})
    (repo / "edge/edge.yml").write_text("worker: {alarms: {to: admin@example.com}}\n")
    with (repo / "secrets/alarm_urls").open("a") as urls:
        urls.write("nonsense://a-token\n")
    result = cli("alarm", "test", "--json")
    assert result.exit_code == 1 and "a-token" not in result.stdout and "secret" not in result.stdout
    sent, unknown, worker = json.loads(result.stdout)["ways"]
    assert (sent["sent"], unknown["sent"], worker["sent"]) == (True, False, None)
    assert "line 2 of alarm_urls" in unknown["name"] and "admin@example.com" in worker["said"]
    assert receiver.subjects == ["Test alarm"]
    assert [one["id"] for one in read(context, "state")["incidents"]] == ["alarm-test"]
    (repo / "secrets/alarm_urls").write_text(receiver.url)
    assert cli("alarm", "test").exit_code == 0


def test_without_a_way_the_test_of_alarms_fails(cli: Cli) -> None:
    result = cli("alarm", "test")
    assert result.exit_code == 1 and "no alarm leaves this host" in result.stderr


def test_the_list_shows_what_is_open_silenced_and_past(
    cli: Cli, stack: Callable[[float], dict[str, Any]], docker: FakeDocker, receiver: Receiver
) -> None:
    docker.answer(ASK_POSTFIX, f"{QUEUED_LOGIN}{QUEUE}")
    stack(0)
    assert cli("alarm", "silence", "disk-full-ssd", "--for", "2h", "--reason", "a new disk").exit_code == 0
    found = json.loads(cli("alarm", "list", "--json").stdout)
    assert [one["id"] for one in found["incidents"]] == ["relay-login"]
    assert [(one["kind"], one["id"]) for one in found["history"]] == [("alarm", "relay-login")]
    [silence] = found["silences"]
    assert silence["id"] == "disk-full-ssd" and 7000 < silence["until"] - time.time() < 7300
    shown = cli("alarm", "list").stdout
    assert "relay-login" in shown and "a new disk" in shown and "fix: make queue" in shown


@pytest.mark.parametrize(
    ("id", "length", "code"), [("nothing", "2h", 1), ("disk", "soon", 2), ("disk", "0x", 2)]
)
def test_a_silence_that_cannot_be_meant_is_refused(cli: Cli, id: str, length: str, code: int) -> None:
    assert cli("alarm", "silence", id, "--for", length).exit_code == code


def test_the_command_prints_what_is_open(
    cli: Cli, stack: Callable[[float], dict[str, Any]], docker: FakeDocker, context: Context
) -> None:
    begin(context, time.time())
    docker.answer(ASK_SIGNATURES, f"{time.time():.0f}\n")
    assert "No open incident" in cli("monitor").stdout
    docker.answer(ASK_POSTFIX, f"{QUEUED_LOGIN}{QUEUE}")
    result = cli("monitor")
    assert result.exit_code == 0 and "relay-login: The relay refuses the log-in" in result.stdout


def test_the_status_says_when_the_monitor_ran_and_what_is_open(
    cli: Cli, context: Context, engine: FakeEngine, docker: FakeDocker
) -> None:
    docker.configure(postfix={})
    engine.containers = [container("postfix")]

    def lines_of_status() -> dict[str, Any]:
        found = json.loads(cli("status", "--json").stdout)["lines"]
        return {one["name"]: (one["mark"], one["found"]) for one in found}

    assert lines_of_status()["monitor"][0] == "warning" and "incidents" not in lines_of_status()
    incident = {"id": "disk-ssd", "since": time.time() - 7200, "severity": "warning"}
    leave(context, "state", {"at": time.time(), "incidents": [incident]})
    found = lines_of_status()
    assert found["monitor"][0] == "ok" and found["incidents"] == ("warning", "disk-ssd for 2h 0m")
    leave(context, "memory", {"outbox": [{"said": "no answer"}]})
    assert lines_of_status()["monitor"][0] == "warning"
    leave(context, "state", {"at": time.time() - 700, "incidents": [incident | {"severity": "critical"}]})
    found = lines_of_status()
    assert (found["monitor"][0], found["incidents"][0]) == ("failed", "failed")


def test_a_failure_goes_to_the_alarm_urls_first_and_by_mail_as_well(
    context: Context, receiver: Receiver, engine: FakeEngine, docker: FakeDocker
) -> None:
    assert notify.tell(context, "backup failed", "the disk is full"), "the mail cannot be sent"
    assert [(one["title"], one["message"]) for one in receiver.got] == [
        ("[shop-mail] backup failed", "the disk is full")
    ]
    engine.containers = [container("postfix")]
    receiver.refuses = True
    assert notify.tell(context, "backup failed", "the disk is full"), "the alarm cannot be sent"
    assert docker.calls_with("sendmail")


# ---- Figures


def test_the_figures_are_given_on_loopback_only(
    stack: Callable[[float], dict[str, Any]], docker: FakeDocker, repo: Path
) -> None:
    docker.answer(ASK_POSTFIX, f"{QUEUED_LOGIN}{QUEUE}")
    stack(0)
    with server(repo / "ssd/monitor/metrics.prom", 0) as running:
        threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        address, port = running.server_address[:2]
        assert address == "127.0.0.1"
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
            text = answer.read().decode()
        with pytest.raises(urllib.error.HTTPError):
            urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=10)
        running.shutdown()
    assert f"mailserver_monitor_timestamp_seconds {NOW:.0f}\n" in text
    assert 'mailserver_incident{id="relay-login",severity="critical",' in text
    assert 'mailserver_service_up{service="postfix"} 1\n' in text
    assert "mailserver_queue_mails 1\n" in text and 'mailserver_disk_free_bytes{disk="' in text


def test_the_figures_have_the_last_deployment_and_what_it_held(
    stack: Callable[[float], dict[str, Any]], repo: Path
) -> None:
    held = {"seconds": 41.5, "services": ["postfix"], "why": "postfix: other files"}
    for id, result, more in (("1", "rolled-back", {"held": None}), ("2", "deployed", {"held": held})):
        Records(repo / "ssd/.mailctl/deploy").add(id, {"result": result, **more})
    stack(0)
    text = (repo / "ssd/monitor/metrics.prom").read_text()
    assert 'mailserver_deployment_last_result{result="deployed"} 1\n' in text
    assert (
        "mailserver_deployment_held_seconds 42\n" in text
        and "mailserver_deployment_timestamp_seconds" in text
    )


def test_what_prometheus_reads_is_in_its_format(
    stack: Callable[[float], dict[str, Any]], repo: Path, context: Context
) -> None:
    job_results.record(context, "backup", True, {})
    stack(0)
    text = (repo / "ssd/monitor/metrics.prom").read_text()
    done = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_alert_rules_fire_when_they_should(tmp_path: Path) -> None:
    rules = REPOSITORY / "config/monitor/alerts.yml"
    for words in (
        ["check", "rules", str(rules)],
        ["test", "rules", str(Path(__file__).with_name("alerts_test.yml"))],
    ):
        done = subprocess.run(["promtool", *words], capture_output=True, text=True, cwd=rules.parent)
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("language", ["en", "ja"])
def test_the_document_has_every_condition_with_its_times(language: str) -> None:
    text = (REPOSITORY / "_docs" / language / "docs/monitoring.md").read_text()
    rows = {
        (match[1], match[2], match[3])
        for match in re.finditer(
            r"^\| `([a-z-]+)` \| .+ \| (\w+|[^|]+?) \| (\d+ min|-) \| .+ \|$", text, re.MULTILINE
        )
    }
    words = {"critical": {"en": "critical", "ja": "重大"}, "warning": {"en": "warning", "ja": "警告"}}
    wanted = {
        (row.id, words[row.severity][language], f"{row.hold // 60} min" if row.hold else "-")
        for row in conditions.table()
    }
    assert rows == wanted
