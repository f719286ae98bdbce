"""The monitor on a running stack: of each outage one alarm at a receiver outside of it, and one all-clear.

Its clock is sped up where it only waits. `make test` has some outages, `make soak` all of them (OUTAGES=all).
"""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.receiver import Receiver
from tests.stack.breaker import Breaker
from tests.stack.clients import Edge, Mailbox, Mailboxes, message
from tests.stack.outages import OUTAGES, Outage
from tests.stack.stack import Stack, eventually, run, speaker

ALL = os.environ.get("OUTAGES") == "all"
# One run of `mailctl monitor` at another time, on disks that are said to be as full as is given.
LOOK = """import json, os, sys
from pathlib import Path
from mailctl.core.context import Context
from mailctl.core.output import Output
from mailctl.monitor import handover
from mailctl.monitor.run import once
given = json.loads(sys.argv[1])
def statvfs(path):
    found = list(os.statvfs(path))
    found[4] = int(found[2] * (1 - given.get("used", 0.5)))
    return os.statvfs_result(found)
# Telling usermgmt takes a second or two of each look.
if not given.get("tells"):
    handover.EVERY_SECONDS = float("inf")
print(json.dumps(once(Context(Path.cwd(), Output(True)), True, given["now"], statvfs)))"""
# An alarm must come within five minutes, but for what is to be wrong for longer.
MINUTE, IN_TIME = 60, 300


class Watch:
    """The monitor of the stack, and its receiver; `now` runs ahead of the clock, each look a minute later."""

    def __init__(
        self, stack: Stack, breaker: Breaker, mailboxes: Mailboxes, receiver: Receiver, home: Path
    ) -> None:
        self.stack, self.breaker, self.mailboxes, self.receiver, self.home = (
            stack,
            breaker,
            mailboxes,
            receiver,
            home,
        )
        self.now, self.given = time.time(), dict[str, Any]()
        self.results: dict[str, dict[str, Any]] = {"dns": {"ok": True, "text": ""}}
        self.backed_up, self.leftovers = True, list[str]()
        self.clock("yes")

    def clock(self, kept: str) -> None:
        """What systemd says of the clock."""
        (self.home / "timedatectl").write_text(f"#!/bin/sh\necho {kept}\n")
        (self.home / "timedatectl").chmod(0o755)

    def look(self, seconds: float = MINUTE) -> dict[str, Any]:
        """One run, so much later than the last."""
        self.now += seconds
        folder = self.stack.repository / ".local"
        for name, result in self.results.items():
            (folder / f"ssd/monitor/{name}.json").write_text(json.dumps({"at": self.now, **result}))
        if self.backed_up:
            good = {"ok": True, "at": self.now, "document": {}}
            (folder / "hdd/.mailctl").mkdir(exist_ok=True)
            for what in ("backup", "drill"):
                (folder / f"hdd/.mailctl/{what}.json").write_text(json.dumps({**good, "last_good": good}))
        given = json.dumps({"now": self.now, **self.given})
        env = {**self.stack.environment, "PATH": f"{self.home}:{os.environ['PATH']}"}
        return json.loads(run(".venv/bin/python", "-c", LOOK, given, cwd=self.stack.repository, env=env))

    def until(self, wanted: bool, limit: float, every: float = MINUTE) -> float:
        """Look until there is an incident, or none; for how long that took, in the monitor's time."""
        begun, state = self.now, self.look(0)
        while bool(state["incidents"]) != wanted:
            assert self.now - begun <= limit, f"after {limit} s: {state['incidents']}"
            state = self.look(every)
        return self.now - begun


@pytest.fixture(scope="module")
def watch(stack, breaker, accounts, tmp_path_factory) -> Iterator[Watch]:
    urls = stack.repository / ".local/secrets/alarm_urls"
    # What other tests left for the monitor, as the result of a probe, grows old while its clock runs ahead.
    folder = stack.repository / ".local/ssd/monitor"
    folder.mkdir(exist_ok=True)
    for left in folder.glob("*.json"):
        left.unlink()
    with Receiver() as receiver:
        urls.write_text(f"{receiver.url}\n")
        mailboxes = Mailboxes(stack.info, accounts)
        # Other tests edit files that containers of this stack mount.
        stack.mailctl("alarm", "silence", "drift", "--for", "400d", "--local")
        yield Watch(stack, breaker, mailboxes, receiver, tmp_path_factory.mktemp("bin"))
        urls.write_text("")


@pytest.mark.parametrize("outage", [one for one in OUTAGES if ALL or one.short], ids=lambda one: one.name)
def test_an_outage_is_one_alarm_in_time_and_one_all_clear(watch: Watch, outage: Outage, pytestconfig):
    watch.stack.healthy(*watch.stack.services())
    watch.until(False, 4 * 3600, 600)
    watch.receiver.got.clear()
    try:
        with outage.breaks(watch):
            took = watch.until(True, max(IN_TIME, outage.hold + MINUTE))
            state = watch.look()
            assert [one["id"].startswith(outage.incident) for one in state["incidents"]] == [True], state
        watch.stack.healthy(*watch.stack.services())
        cleared = watch.until(False, 4 * 3600, 200)
    finally:
        for name in watch.leftovers:
            subprocess.run(["docker", "rm", "--force", name], capture_output=True, timeout=300, check=False)
        watch.leftovers.clear()
    alarms = watch.receiver.subjects
    severity = state["incidents"][0]["severity"].upper()
    title = state["incidents"][0]["title"]
    once = outage.incident == "undeliverable"
    assert alarms == [f"{severity}: {title}", *([] if once else [f"all clear: {title}"])]
    speaker(pytestconfig)(
        f"| {outage.name} | {outage.incident} | alarm after {took:.0f} s | all-clear {cleared:.0f} s |"
    )


def test_a_quiet_day_has_no_alarm(watch: Watch):
    """Mail flows, a deployment's restart happens, and nobody is woken up."""
    watch.stack.healthy(*watch.stack.services())
    watch.until(False, 4 * 3600, 600)
    watch.receiver.got.clear()
    looks = 144 if ALL else 10
    for number in range(looks):
        assert watch.look(86400 / 144)["incidents"] == [], number
    assert watch.receiver.got == []


def test_the_overview_shows_what_the_host_reports_and_the_mail_that_came(watch: Watch):
    # Not by the pages: those would remember for a minute that it was empty.
    reader = Mailbox(watch.mailboxes.address(), watch.stack.info)
    made = asked(watch, "POST", "/mailboxes", {"email": reader.address, "password": reader.password})
    before = overview(watch)
    assert (
        Edge(watch.stack.info).post(message("Counted", to=reader.address), reader.address).status_code == 200
    )
    eventually(reader.all, limit=30)
    eventually(lambda: overview(watch)["days"][-1]["counts"] != before["days"][-1]["counts"], limit=30)
    watch.given = {"tells": True}
    watch.look()
    watch.given = {}
    found = overview(watch)
    counts, last = found["days"][-1]["counts"], before["days"][-1]["counts"]
    assert counts == {**last, "received": last["received"] + 1}
    assert found["server"]["healthy"] == found["server"]["services"] == len(watch.stack.services())
    assert found["server"]["deliveries"][-1]["seconds"][0] >= 1 and found["server"]["queue"]["held"] == 0
    assert {job["what"] for job in found["server"]["jobs"]} == {"backup", "drill"}
    used = asked(watch, "GET", f"/mailboxes/{made['mailbox']['id']}/usage")
    assert 0 < used["used_bytes"] < 10_000
    assert sum(row["used_bytes"] for row in found["domains"]) > 0


def asked(watch: Watch, method: str, path: str, body: dict[str, str] | None = None) -> dict[str, Any]:
    """What the API answers inside the container."""
    words = ("usermgmt", "api", method, path, *(("--body-stdin",) if body else ()))
    answer = json.loads(watch.stack.exec("usermgmt", *words, stdin=json.dumps(body) if body else ""))
    assert answer["status"] < 300, answer
    return answer["body"]


def overview(watch: Watch) -> dict[str, Any]:
    """As a program sees it."""
    return asked(watch, "GET", "/overview")
