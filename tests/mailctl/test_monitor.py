"""`mailctl monitor`: each condition with an outage and a quiet example, and runs with all that follows."""

import json
import os
import re
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from conftest import ENV, Cli
from fakes import FakeDocker, FakeEngine, container

from mailctl.core import job_results, notify
from mailctl.core.context import Context
from mailctl.core.engine import _state
from mailctl.core.errors import Refused
from mailctl.core.lock import exclusive
from mailctl.core.log_lines import LogLine
from mailctl.core.mail_queue import Waiting
from mailctl.core.monitoring import leave, read
from mailctl.monitor import conditions, run
from mailctl.monitor.facts import ASK_POSTFIX, Facts, Postfix
from mailctl.monitor.host import ASK_SIGNATURES, ASK_SPOOL
from mailctl.monitor.serve import server
from tests.places import REPOSITORY
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
LOGIN = "SASL authentication failed; server smtp.relay.example[192.0.2.1] said: 535 Authentication failed"
GONE = "connect to smtp.relay.example[192.0.2.1]:587: Connection timed out"
LOCAL = "connect to dovecot[10.0.0.3]:31024: Connection refused"
FULL = "host dovecot[10.0.0.3] said: 452 4.2.2 <ada@example.com> Quota exceeded (mailbox for user is full)"


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


# ---- Each condition


def services(**changes: dict[str, Any]) -> dict[str, Any]:
    """The containers, healthy but for what is named; clamav and usermgmt were started after postfix."""
    found = {}
    for name in NAMES:
        state = container(name, **changes.get(name, {}))
        if name in ("clamav", "usermgmt"):
            needs = "postfix:service_healthy:false"
            state["Config"]["Labels"]["com.docker.compose.depends_on"] = needs
        found[name] = _state(state)
    return found


def waiting(reason: str, ages: tuple[float, ...], queue: str = "deferred") -> Postfix:
    mails = [
        Waiting(
            f"4jb64t38NBzJm{n}", queue, int(NOW - age), 2048, "ada@example.com", ("bob@far.example",), reason
        )
        for n, age in enumerate(sorted(ages, reverse=True))
    ]
    return Postfix(mails, "", True, "smtp.relay.example")


def said(service: str, *texts: str) -> list[LogLine]:
    return [LogLine(datetime.fromtimestamp(NOW - 30 + n, UTC), service, text) for n, text in enumerate(texts)]


def postfix_said(*texts: str) -> list[LogLine]:
    return said("postfix", *(f"Nov 26 19:27:26 mail postfix/{text}" for text in texts))


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


ID = "4jb64t38NBzJmhw"
FROM = f"qmgr[2]: {ID}: from=<ada@example.com>, size=1171, nrcpt=1 (queue active)"
BOUNCED = (
    f"smtp[3]: {ID}: to=<bob@far.example>, relay=smtp.relay.example[192.0.2.1]:587, delay=1, delays=0/0/0/1,"
    " dsn=5.1.1, status=bounced (host said: 550 no such person)"
)
DEFERRED = BOUNCED.replace("status=bounced (host said: 550 no such person)", f"status=deferred ({GONE})")
EXPIRED = f"qmgr[2]: {ID}: from=<ada@example.com>, status=expired, returned to sender"
SENT = BOUNCED.replace("status=bounced (host said: 550 no such person)", "status=sent (250 ok)")
NO_VERDICT = "#9(rspamd_proxy) <a>; lua; rspamd.local.lua:44: no verdict of the virus scanner: deferred"
REFUSED_LIST = (
    "#7(controller) <3nxzfe>; monitored; rspamd_monitored_dns_cb: DNS query blocked on multi.uribl.com"
    " (127.0.0.1 returned), possibly due to high volume"
)
BLOCKED = (
    "rspamd_task_write_log: id: <a@b>, (default: F (no action): [0/15] [DBL_BLOCKED_OPENRESOLVER(0.00){}])"
)


def kept(name: str) -> Callable[[Any], dict[str, Any]]:
    """A case that is one of the things which are asked once in a run."""
    return lambda value: {name: value}


def left(name: str, **document: Any) -> dict[str, Any]:
    return {"left": (name, document)}


def lines(*found: LogLine) -> dict[str, Any]:
    return {"lines": list(found)}


def containers(**changes: dict[str, Any]) -> dict[str, Any]:
    return {"containers": services(**changes)}


def says(text: str) -> dict[str, Any]:
    """What the command in the container prints."""
    return {"inside": text}


def line_of_status(name: str, mark: str) -> dict[str, Any]:
    found = [{"name": name, "mark": mark, "found": "as it is", "fix": "mend it"}]
    return {"memory": {"status": {"at": NOW, "lines": found}}}


def ran(what: str, age: float) -> dict[str, Any]:
    return {"ran": (what, age)}


UNHEALTHY = {"health": "unhealthy", "health_output": "no answer"}
# By condition: what is wrong with the incidents that it makes, and what is quiet although it looks alike.
CASES: dict[str, tuple[list[tuple[dict[str, Any], set[str]]], list[dict[str, Any]]]] = {
    "engine": ([({"containers": Refused()}, {"engine"})], [containers()]),
    "service": (
        [
            (containers(postfix={"status": "exited", "exit_code": 137}), {"service-postfix"}),
            (containers(usermgmt=UNHEALTHY), {"service-usermgmt"}),
            (containers(usermgmt=UNHEALTHY, postfix=UNHEALTHY), {"service-postfix"}),
            (
                containers(usermgmt=UNHEALTHY, clamav={"status": "paused"}),
                {"service-usermgmt", "service-clamav"},
            ),
            (
                containers(clamav={"restarts": 5})
                | {"memory": {"restarts": {"clamav": {"id": services()["clamav"].id, "count": 2}}}},
                {"service-clamav"},
            ),
            ({"containers": {"postfix": services()["postfix"]}}, {f"service-{name}" for name in NAMES[1:]}),
            ({"containers": {}}, {"service-all"}),
        ],
        [containers(), containers(usermgmt={"health": "starting"}), containers(cloudflared=UNHEALTHY)],
    ),
    "tunnel": (
        [(containers(cloudflared=UNHEALTHY), {"tunnel"})],
        [containers(), containers(postfix=UNHEALTHY), containers(cloudflared={"status": "exited"})],
    ),
    "database": (
        [({"postfix": Postfix([], "fatal: table mysql:domains.cf: query error", True, "r")}, {"database"})],
        [{"postfix": waiting(GONE, (10,))}],
    ),
    "resolver": (
        [({"postfix": Postfix([], "", False, "smtp.relay.example")}, {"resolver"})],
        [{"postfix": waiting(GONE, (10,))}],
    ),
    "relay-login": (
        [({"postfix": waiting(LOGIN, (10,))}, {"relay-login"})],
        [{"postfix": waiting(GONE, (10, 20))}, {"postfix": waiting(LOGIN, (10,), "hold")}],
    ),
    "deferred": (
        [
            ({"postfix": waiting(GONE, (30, 20, 10))}, {"deferred-relay"}),
            ({"postfix": waiting(GONE, (700,))}, {"deferred-relay"}),
            ({"postfix": waiting(LOCAL, (30, 20, 10))}, {"deferred-delivery"}),
            ({"postfix": waiting("451 greylisted", tuple(range(10)))}, {"deferred-other"}),
        ],
        [
            {"postfix": waiting(GONE, (300,))},
            {"postfix": waiting(FULL, (30, 20, 10, 9000))},
            {"postfix": waiting("451 greylisted", (9000, 20, 10))},
            {"postfix": waiting(GONE, (30, 20, 10), "hold")},
        ],
    ),
    "queue-age": (
        [({"postfix": waiting("451 greylisted", (3700,))}, {"queue-age"})],
        [{"postfix": waiting(FULL, (9000,))}, {"postfix": waiting("", (3500,), "active")}],
    ),
    "queue-size": (
        [({"postfix": waiting("", (1,) * 201, "active")}, {"queue-size"})],
        [{"postfix": waiting("", (1,) * 200, "active")}, {"postfix": waiting("", (1,) * 300, "hold")}],
    ),
    "undeliverable": (
        [
            (lines(*postfix_said(FROM, BOUNCED)), {f"undeliverable-{NOW:.0f}"}),
            (lines(*postfix_said(FROM, DEFERRED, EXPIRED)), {f"undeliverable-{NOW:.0f}"}),
        ],
        [lines(*postfix_said(FROM, DEFERRED)), lines(*postfix_said(FROM, SENT)), lines()],
    ),
    "scanner": (
        [(lines(*said("rspamd", NO_VERDICT, NO_VERDICT)), {"scanner"})],
        [lines(*said("rspamd", NO_VERDICT)), lines(*said("postfix", NO_VERDICT, NO_VERDICT)), lines()],
    ),
    "lists": (
        [(lines(*said("rspamd", REFUSED_LIST, REFUSED_LIST, BLOCKED)), {"lists"})],
        [
            lines(*said("rspamd", REFUSED_LIST, BLOCKED)),
            lines(*said("rspamd", "monitored; uribl.com is fine")),
        ],
    ),
    "signatures": (
        [(says(f"{NOW - 4 * DAY:.0f}\n"), {"signatures"})],
        [says(f"{NOW - 2 * DAY:.0f}\n")],
    ),
    "disk-full": (
        [
            ({"room": room(96)}, {"disk-full-ssd"}),
            ({"room": room(10, free=1 << 29)}, {"disk-full-ssd"}),
            ({"room": room(10, inodes=96)}, {"disk-full-ssd"}),
            ({"env": "HDD_PATH=/mnt/no-such-disk\n"}, {"disk-full-hdd"}),
        ],
        [{"room": room(10)}, {"room": room(90)}],
    ),
    "disk": (
        [({"room": room(86)}, {"disk-ssd"}), ({"room": room(10, inodes=86)}, {"disk-ssd"})],
        [{"room": room(84)}, {"room": room(96)}],
    ),
    "late": (
        [
            (ran("backup", 27 * HOUR), {"late-backup"}),
            (ran("drill", 36 * DAY), {"late-drill"}),
            ({"memory": {"began": NOW - 27 * HOUR}}, {"late-backup"}),
        ],
        [ran("backup", 25 * HOUR), {"memory": {"began": NOW - 25 * HOUR}}],
    ),
    "certificate": (
        [(line_of_status("certificates", "warning"), {"certificate"})],
        [line_of_status("certificates", "ok"), line_of_status("drift", "warning")],
    ),
    "drift": (
        [(line_of_status("drift", "warning"), {"drift"})],
        [line_of_status("drift", "ok"), line_of_status("certificates", "failed")],
    ),
    "dns": (
        [
            (left("dns", at=NOW - HOUR, ok=False, text="MX example.com: missing"), {"dns"}),
            (left("dns", at=NOW - 37 * HOUR, ok=True, text=""), {"dns-old"}),
            ({"memory": {"began": NOW - 37 * HOUR}}, {"dns-old"}),
        ],
        [left("dns", at=NOW - 25 * HOUR, ok=True, text=""), {}],
    ),
    "probe": (
        [
            (left("probe", at=NOW - 60, ok=False, text="did not arrive", fix=""), {"probe"}),
            (left("probe", at=NOW - 4 * HOUR, ok=True, text=""), {"probe-old"}),
        ],
        [left("probe", at=NOW - 60, ok=True), left("probe", at=NOW - DAY, ok=True, every=DAY), {}],
    ),
    "spool": (
        [
            (says(json.dumps({"waiting": 3, "oldest": NOW - 2 * HOUR})), {"spool"}),
            (says(json.dumps({"waiting": 3, "oldest": NOW - 12 * DAY})), {"spool-ends"}),
        ],
        [
            says(json.dumps({"waiting": 3, "oldest": NOW - 600})),
            says(json.dumps({"waiting": 0, "oldest": None})),
            {"edge": "worker: {}\n"},
        ],
    ),
    "clock": (
        [({"clock": "no"}, {"clock"}), ({"clock": "yes", "memory": {"at": NOW + 400}}, {"clock"})],
        [{"clock": "yes"}, {"clock": "yes", "memory": {"at": NOW + 100}}],
    ),
    "alarms": (
        [({"memory": {"outbox": [{"at": NOW - 700, "said": "refused"}]}}, {"alarms"})],
        [{"memory": {"outbox": [{"at": NOW - 60, "said": "refused"}]}}, {}],
    ),
}


@pytest.fixture
def facts(context: Context, monkeypatch: pytest.MonkeyPatch, docker: FakeDocker) -> Callable[..., Facts]:
    """The facts of a case."""

    def make(case: dict[str, Any]) -> Facts:
        _arrange(context, case, docker)
        memory = {"began": NOW - 60, "home": "/no-such-folder", **case.get("memory", {})}
        found = Facts(context, None, memory, NOW, statvfs=lambda _: case.get("room", room(10)))
        for name in ("containers", "postfix", "lines"):
            if name in case:
                found._kept[name] = case[name]
        monkeypatch.setattr(found, "log", lambda *_: case["lines"])
        monkeypatch.setattr(found, "inside", lambda *_: case["inside"])
        return found

    return make


def _arrange(context: Context, case: dict[str, Any], docker: FakeDocker) -> None:
    repo = context.repo
    if "left" in case:
        leave(context, *case["left"])
    if "edge" in case:
        (repo / "edge/edge.yml").write_text(case["edge"])
    if "env" in case:
        (repo / ".env").write_text(f"{(repo / '.env').read_text()}{case['env']}")
    if "clock" in case:
        (docker.folder / "timedatectl").write_text(f"#!/bin/sh\necho {case['clock']}\n")
        (docker.folder / "timedatectl").chmod(0o755)
    if "ran" in case:
        what, age = case["ran"]
        job_results.record(context, what, True, {})
        path = repo / "hdd/.mailctl" / f"{what}.json"
        found = json.loads(path.read_text())
        found["at"] = found["last_good"]["at"] = NOW - age
        path.write_text(json.dumps(found))


def incidents(condition: str, facts: Facts) -> set[str]:
    row = next(row for row in conditions.table() if row.id == condition)
    return {f"{row.id}-{one.key}" if one.key else row.id for one in row.ask(facts)}


WRONG = [(name, case, ids) for name, (wrong, _) in CASES.items() for case, ids in wrong]
QUIET = [(name, case) for name, (_, quiet) in CASES.items() for case in quiet]


def test_every_condition_has_an_outage_and_a_quiet_example() -> None:
    assert {*CASES} == {row.id for row in conditions.table()}
    assert all(wrong and quiet for wrong, quiet in CASES.values())


@pytest.mark.parametrize(("condition", "case", "ids"), WRONG, ids=[name for name, *_ in WRONG])
def test_an_outage_is_seen(
    facts: Callable[..., Facts], condition: str, case: dict[str, Any], ids: set[str]
) -> None:
    assert incidents(condition, facts(case)) == ids


@pytest.mark.parametrize(("condition", "case"), QUIET, ids=[name for name, _ in QUIET])
def test_what_only_looks_like_an_outage_is_quiet(
    facts: Callable[..., Facts], condition: str, case: dict[str, Any]
) -> None:
    assert incidents(condition, facts(case)) == set()


def test_a_mail_that_was_given_up_is_named_with_sender_recipient_and_reason(
    facts: Callable[..., Facts],
) -> None:
    row = next(row for row in conditions.table() if row.id == "undeliverable")
    [bounced] = row.ask(facts(lines(*postfix_said(FROM, BOUNCED))))
    assert bounced.text.startswith(f"{ID} from ada@example.com to bob@far.example: ")
    assert "550 no such person" in bounced.text
    [expired] = row.ask(facts(lines(*postfix_said(FROM, DEFERRED, EXPIRED))))
    assert "from ada@example.com to bob@far.example: expired" in expired.text and GONE in expired.text
    [own] = row.ask(facts(lines(*postfix_said(FROM.replace("ada@example.com", ""), BOUNCED))))
    assert "from the mail system itself to bob@far.example" in own.text


def test_mails_that_are_given_up_within_ten_minutes_are_reported_together_and_none_is_left_out(
    facts: Callable[..., Facts],
) -> None:
    row = next(row for row in conditions.table() if row.id == "undeliverable")
    found = facts(lines(*postfix_said(FROM, BOUNCED)))
    texts = {one.key: one.text for one in row.ask(found)}
    for minute in range(1, 25):
        found.now = NOW + 60 * minute
        found._kept["lines"] = (
            postfix_said(FROM, BOUNCED.replace("bob", f"bob{minute}")) if minute < 10 else []
        )
        texts |= {one.key: one.text for one in row.ask(found)}
    assert len(texts) == 2
    assert re.findall(r"from \S+ to (bob\d*)@", "".join(texts.values())) == [
        "bob",
        *(f"bob{n}" for n in range(1, 10)),
    ]


def test_a_status_that_cannot_be_had_is_unknown(facts: Callable[..., Facts], tmp_path: Path) -> None:
    found = facts({})
    found.context.repo = tmp_path / "no-repository"
    with pytest.raises(found.unanswered):
        incidents("drift", found)


# ---- Whole runs


@pytest.fixture
def receiver(repo: Path) -> Iterator[Receiver]:
    with Receiver() as there:
        (repo / "secrets/alarm_urls").write_text(f"# the phone\n{there.url}\n")
        yield there


QUEUE = "---\nlookup 0\nresolves 0 smtp.relay.example\n"


@pytest.fixture
def stack(engine: FakeEngine, docker: FakeDocker, context: Context) -> Callable[[float], dict[str, Any]]:
    """A quiet server; called with the seconds since the beginning, the monitor runs."""
    engine.containers = [container(name) for name in (*NAMES, "mailserver-api")]
    docker.answer(ASK_POSTFIX, QUEUE)
    docker.answer(ASK_SIGNATURES, f"{NOW:.0f}\n")
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
    leave(context, "memory", {"began": at, "answers": answers})


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


# ---- What is shown


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
