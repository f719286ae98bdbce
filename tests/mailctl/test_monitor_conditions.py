"""Each condition of `mailctl monitor`, with an outage and a quiet example."""

import json
import re
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import cluster_cases
import pytest
from fakes import FakeDocker, container
from monitor_scene import DAY, HOUR, ID, LOGIN, NAMES, NOW, disks, room  # noqa: F401 (fixtures)

from mailctl.core import hold, job_results
from mailctl.core.context import Context
from mailctl.core.engine import _state
from mailctl.core.errors import Refused
from mailctl.core.log_lines import LogLine
from mailctl.core.mail_queue import Waiting
from mailctl.core.monitoring import leave
from mailctl.deploy.records import Records
from mailctl.monitor import conditions
from mailctl.monitor.facts import Facts, Postfix
from mailctl.secret_files.certificates import new_key, self_signed_ca
from mailctl.secret_files.client_certificate import kept_or_own

GONE = "connect to smtp.relay.example[192.0.2.1]:587: Connection timed out"
LOCAL = "connect to dovecot[10.0.0.3]:31024: Connection refused"
FULL = "host dovecot[10.0.0.3] said: 452 4.2.2 <ada@example.com> Quota exceeded (mailbox for user is full)"


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


FROM = f"qmgr[2]: {ID}: from=<ada@example.com>, size=1171, nrcpt=1 (queue active)"
BOUNCED = (
    f"smtp[3]: {ID}: to=<bob@far.example>, relay=smtp.relay.example[192.0.2.1]:587, delay=1, delays=0/0/0/1,"
    " dsn=5.1.1, status=bounced (host said: 550 no such person)"
)
DEFERRED = BOUNCED.replace("status=bounced (host said: 550 no such person)", f"status=deferred ({GONE})")
EXPIRED = f"qmgr[2]: {ID}: from=<ada@example.com>, status=expired, returned to sender"
SENT = BOUNCED.replace("status=bounced (host said: 550 no such person)", "status=sent (250 ok)")
NO_VERDICT = "#9(rspamd_proxy) <a>; lua; rspamd.local.lua:44: no verdict of the virus scanner: deferred"
GUESSED = {"address": "ada@example.com", "attempts": 312, "networks": 48}
OVER_LIMIT = (
    f"cleanup[4]: {ID}: milter-reject: END-OF-MESSAGE from unknown[192.0.2.7]: 4.7.1 Ratelimit "
    '"per_user" exceeded; from=<ada@example.com> to=<bob@far.example> proto=ESMTP helo=<phone>'
)
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


def holds(since: float) -> dict[str, Any]:
    return {"hold": since}


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


def changed(*names: str) -> dict[str, Any]:
    """What the last upload found in S3 that was not this host's."""
    return {"changed": names}


def pulls(**state: Any) -> dict[str, Any]:
    """A host that pulls and deployed once; what its agent remembers."""
    env = "DEPLOY_METHOD=pull\nAGENT_DIR=agent\n"
    return {"agent": state, "env": env, "deployed": [(True, "deployed")], "memory": {"began": NOW - DAY}}


UNHEALTHY = {"health": "unhealthy", "health_output": "no answer"}


def not_forwarded(reason: str, age: float = 60) -> dict[str, Any]:
    """A mail that did not reach an address outside."""
    way = {"recipient": "ada@example.com", "destination": "old@far.example"}
    return {**way, "reason": reason, "count": 1, "at": NOW - age}


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
    "guessing": (
        [({"memory": {"attacks": {"at": NOW - 300, "found": [GUESSED]}}}, {"guessing-ada@example.com"})],
        [{"memory": {"attacks": {"at": NOW - 1000, "found": [GUESSED]}}}, {}],
    ),
    "sending-limit": (
        [(lines(*postfix_said(OVER_LIMIT)), {"sending-limit-ada@example.com"})],
        [lines(*postfix_said(FROM, SENT), *said("rspamd", OVER_LIMIT))],
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
    "copies": (
        [(changed("data/x"), {"copies-data/x"})],
        [ran("backup", 0), changed()],
    ),
    "certificate": (
        [(line_of_status("certificates", "warning"), {"certificate"})],
        [line_of_status("certificates", "ok"), line_of_status("drift", "warning")],
    ),
    "client-certificate": (
        [
            ({"client": "imap.example.net"}, {"client-certificate"}),
            ({"client": "imap.example.com", **left("certificate", problem="why")}, {"client-certificate"}),
        ],
        [{"client": "imap.example.com"}, left("certificate", problem="why")],
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
    "held": ([(holds(NOW - 1000), {"held"})], [holds(NOW - 800), {}]),
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
    "forward": (
        [(says(json.dumps({"failed": [not_forwarded("no such address")]})), {"forward-old@far.example"})],
        [
            says(json.dumps({"failed": [not_forwarded("spool"), not_forwarded("late", HOUR + 1)]})),
            says(json.dumps({"failed": []})),
        ],
    ),
    "agent-silent": (
        [
            (pulls(ran=NOW - 16 * 60), {"agent-silent"}),
            (pulls(ran=NOW - 16 * 60, trouble="cannot be fetched"), {"agent-silent"}),
        ],
        [
            pulls(ran=NOW - 14 * 60),
            {**pulls(ran=NOW - DAY), "env": "DEPLOY_METHOD=ssh\nAGENT_DIR=agent\n"},
            {**pulls(ran=NOW - DAY), "deployed": []},
        ],
    ),
    "agent-token": (
        [
            (
                pulls(tokens={"github_token": {"ends": NOW + 13 * DAY, "wrong": ""}}),
                {"agent-token-github_token"},
            ),
            (
                pulls(tokens={"github_token": {"ends": None, "wrong": "expired"}}),
                {"agent-token-github_token"},
            ),
        ],
        [
            pulls(tokens={"github_token": {"ends": NOW + 15 * DAY, "wrong": ""}}),
            pulls(tokens={"github_token": {"ends": None, "wrong": ""}}),
        ],
    ),
    "commit-waits": (
        [(pulls(waiting={"commit": "abc", "why": "queued", "since": NOW - HOUR - 1}), {"commit-waits-abc"})],
        [pulls(waiting={"commit": "abc", "why": "queued", "since": NOW - HOUR + 60}), pulls()],
    ),
    "commit-refused": (
        [
            ({**pulls(), "deployed": [(False, "refused")]}, {"commit-refused-abc"}),
            ({**pulls(), "deployed": [(True, "deployed"), (False, "rolled-back")]}, {"commit-refused-abc"}),
            (
                {
                    **pulls(last={"at": NOW, "result": "unchanged", "reason": "abc was refused"}),
                    "deployed": [(False, "refused")],
                },
                {"commit-refused-abc"},
            ),
        ],
        [
            {**pulls(), "deployed": [(False, "refused"), (True, "deployed")]},
            # It was taken back by a push: what runs is what is wanted.
            {
                **pulls(last={"at": NOW, "result": "unchanged", "reason": ""}),
                "deployed": [(False, "refused")],
            },
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
    **cluster_cases.CASES,
}


@pytest.fixture
def facts(context: Context, monkeypatch: pytest.MonkeyPatch, docker: FakeDocker) -> Callable[..., Facts]:
    """The facts of a case."""
    monkeypatch.setattr("mailctl.monitor.forwards._addresses", lambda _: [])

    def make(case: dict[str, Any]) -> Facts:
        _arrange(context, case, docker)
        memory = {"began": NOW - 60, "home": "/no-such-folder", **case.get("memory", {})}
        found = Facts(context, None, memory, NOW, statvfs=lambda _: case.get("room", room(10)))
        asked = ("containers", "postfix", "lines", "swarm", "nodes", "services", "member", "risk")
        for name in asked:
            if name in case:
                found._kept[name] = case[name]
        monkeypatch.setattr(found, "log", lambda *_: case["lines"])
        monkeypatch.setattr(found, "inside", lambda *_: case["inside"])
        return found

    return make


def _arrange(context: Context, case: dict[str, Any], docker: FakeDocker) -> None:
    repo = context.repo
    for name, content in case.get("files", {}).items():
        (repo / name).write_text(content)
    if "left" in case:
        leave(context, *case["left"])
    if "hold" in case:
        hold.shut(context, "word", case["hold"], closed=False)
    if "edge" in case:
        (repo / "edge/edge.yml").write_text(case["edge"])
    if "env" in case:
        (repo / ".env").write_text(f"{(repo / '.env').read_text()}{case['env']}")
    if "agent" in case:
        (repo / "agent").mkdir()
        (repo / "agent/state.json").write_text(json.dumps(case["agent"]))
        store = Records.of(context)
        for number, (ok, result) in enumerate(case["deployed"]):
            document = {"ok": ok, "result": result, "ref": "abc", "reason": "why", "at": NOW - HOUR}
            store.add(f"{number}", document)
    if "client" in case:
        key = new_key()
        ca = self_signed_ca(b"", key, "shop-mail")
        (repo / "docker-compose.yml").write_text(
            "services: {usermgmt: {environment: {CLIENT_HOST: imap.example.com}}}\n"
        )
        (repo / "secrets/internal_ca.crt").write_bytes(ca)
        (repo / "secrets/client_tls.pem").write_bytes(kept_or_own(b"", ca, key, (case["client"],)))
    if "clock" in case:
        (docker.folder / "timedatectl").write_text(f"#!/bin/sh\necho {case['clock']}\n")
        (docker.folder / "timedatectl").chmod(0o755)
    if "changed" in case:
        problems = [{"field": name, "wrong": "this host did not write it"} for name in case["changed"]]
        job_results.record(context, "copies", not problems, {"problems": problems})
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
