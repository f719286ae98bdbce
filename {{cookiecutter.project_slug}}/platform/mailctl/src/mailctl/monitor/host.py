"""The conditions of the host and of what is asked seldom: services, disks, jobs, certificates, DNS, clock."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mailctl import agent
from mailctl.core import folders, hold
from mailctl.core.client_host import client_host
from mailctl.core.disks import folder_of, unmounted
from mailctl.core.errors import Problem, Refused
from mailctl.core.format import duration, plain, size
from mailctl.core.hosts import several
from mailctl.core.monitoring import read
from mailctl.monitor.facts import Facts, Finding

if TYPE_CHECKING:
    from mailctl.core.engine import ContainerState

HOUR, DAY = 3600, 86400
TUNNEL, SCANNER, API = "cloudflared", "clamav", "mailserver-api"
# Started again so often within so many seconds: it does not recover by itself.
RESTARTS, RESTART_SECONDS = 3, 900
FULL_PERCENT, FILLING_PERCENT, LEAST_BYTES = 95, 85, 1 << 30
# ClamAV publishes signatures every day: https://docs.clamav.net/faq/faq-freshclam.html
SIGNATURE_DAYS = 3
STATUS_SECONDS = 120
CLOCK_SECONDS = 300
AGENT_SECONDS, TOKEN_SECONDS = 900, 14 * DAY
HELD_SECONDS = 900
SPOOL_HOURS, SPOOL_DAYS_LEFT = 1, 3
SHOWN_COPIES = 5
ASK_SIGNATURES = (
    "stat -c %Y /var/lib/clamav/*.c[lv]d /var/lib/clamav/*.[hnl][dsb]* 2>/dev/null | sort -n | tail -n 1"
)
ASK_SPOOL = """import urllib.request as u
token = open('/run/secrets/mailserver_api_tokens').read().split()[0]
call = u.Request('http://127.0.0.1:8000/v1/spool', headers={'Authorization': 'Bearer ' + token})
print(u.urlopen(call, timeout=8).read().decode())"""


def engine(facts: Facts) -> Iterator[Finding]:
    try:
        _ = facts.containers
    except facts.unanswered as error:
        yield Finding(plain(str(error))[:300])


def services(facts: Facts) -> Iterator[Finding]:
    """One finding for each cause: what fails only because another service does is named with that."""
    there = facts.containers
    if not any(one.status == "running" for one in there.values()):
        if several(facts.context):
            return  # a host may well be empty
        yield Finding("no service of this server runs", "all")
        return
    names = dict.fromkeys([*facts.expected, *there])
    down = {name: word for name in names if (word := _wrong(facts, name, there.get(name)))}
    behind = {name: _needed(name, there) & down.keys() for name in down}
    for name in (name for name in down if not behind[name]):
        others = [other for other in down if name in behind[other]]
        with_it = f"; with it: {', '.join(others)}" if others else ""
        yield Finding(f"{name}: {down[name]}{with_it}", name)


def _wrong(facts: Facts, name: str, found: "ContainerState | None") -> str:
    """What is wrong with a service; "" when nothing is. A container that is starting gets its time."""
    if found is None:
        return "has no container"
    kept = facts.memory.setdefault("restarts", {}).setdefault(name, {"id": found.id, "count": found.restarts})
    new = found.restarts - kept["count"] if kept["id"] == found.id else 0
    kept.update(id=found.id, count=found.restarts)
    times = facts.counted(f"restarts of {name}", max(0, new), RESTART_SECONDS)
    if times >= RESTARTS:
        return f"was started again {times} times in {duration(RESTART_SECONDS)}"
    # Whether the tunnel is connected is a condition of its own.
    unhealthy = found.health == "unhealthy" and name != TUNNEL
    if found.done or (found.status == "running" and not unhealthy):
        return ""
    said = plain(" ".join(found.health_output.split()))[:200] if unhealthy else ""
    return f"{found.word} ({said})" if said else found.word


def _needed(name: str, there: "dict[str, ContainerState]") -> set[str]:
    """The services that one depends on, and those that they depend on."""
    found: set[str] = set()
    todo = [name]
    while todo:
        one = there.get(todo.pop())
        new = set(one.needs) - found if one else set()
        found |= new
        todo += new
    return found - {name}


def tunnel(facts: Facts) -> Iterator[Finding]:
    """Its healthcheck asks cloudflared's /ready: is there a connection to Cloudflare?"""
    found = facts.containers.get(TUNNEL)
    if found and found.status == "running" and found.health == "unhealthy":
        yield Finding(f"cloudflared has no connection to Cloudflare: {plain(found.health_output)[:200]}")


def signatures(facts: Facts) -> Iterator[Finding]:
    if SCANNER not in facts.expected:
        return
    changed = facts.inside(SCANNER, "sh", "-c", ASK_SIGNATURES).strip()
    age = facts.now - float(changed)
    if age > SIGNATURE_DAYS * DAY:
        yield Finding(f"the newest signatures are {duration(age)} old")


def disks_full(facts: Facts) -> Iterator[Finding]:
    for setting in ("SSD_PATH", "HDD_PATH"):
        path = folder_of(facts.context, setting)
        problem = unmounted(setting, path)
        if problem or not path.is_dir():
            wrong = problem.wrong if problem else "is not there"
            yield Finding(f"{path}: {wrong}", setting.partition("_")[0].lower())
    for key, path, room in _disks(facts):
        if percent_used(room) >= FULL_PERCENT or room.f_bavail * room.f_frsize < LEAST_BYTES:
            yield Finding(_room(path, room), key)


def disks_filling(facts: Facts) -> Iterator[Finding]:
    full = {one.key for one in disks_full(facts)}
    for key, path, room in _disks(facts):
        if key not in full and percent_used(room) >= FILLING_PERCENT:
            yield Finding(_room(path, room), key)


def _disks(facts: Facts) -> list[tuple[str, Path, os.statvfs_result]]:
    """Each file system once: its name, a path on it, and its room."""

    def ask() -> list[tuple[str, Path, os.statvfs_result]]:
        places = {name: folder_of(facts.context, f"{name.upper()}_PATH") for name in ("ssd", "hdd")}
        if "home" not in facts.memory and facts.server:
            facts.memory["home"] = str(facts.server.engine.home)
        if "home" in facts.memory:
            places["docker"] = Path(facts.memory["home"])
        there = {key: path for key, path in places.items() if path.is_dir()}
        devices = {path.stat().st_dev: (key, path) for key, path in reversed(there.items())}
        return [(key, path, facts.statvfs(str(path))) for key, path in reversed(devices.values())]

    return facts.once("disks", ask)


def percent_used(room: os.statvfs_result) -> float:
    """Percent, of bytes or of inodes, whichever is more. (btrfs counts no inodes.)"""
    counts = ((room.f_bavail, room.f_blocks), (room.f_favail, room.f_files))
    return max(100 * (1 - free / total) if total else 0.0 for free, total in counts)


def _room(path: Path, room: os.statvfs_result) -> str:
    free = size(room.f_bavail * room.f_frsize)
    return f"{path}: {percent_used(room):.0f}% used, {free} and {room.f_favail} inodes free"


def jobs(facts: Facts) -> Iterator[Finding]:
    """What never ran is late once this host has been there for as long as the job may take."""
    from mailctl.core.job_ages import ages

    for age in ages(facts.context, facts.now):
        there = facts.now - facts.memory["began"]
        if age.seconds is not None and age.late:
            yield Finding(f"the last good {age.what} was {duration(age.seconds)} ago", age.what)
        elif age.seconds is None and there > age.limit.seconds:
            yield Finding(f"there was no good {age.what} in {duration(there)}", age.what)


def copies(facts: Facts) -> Iterator[Finding]:
    """What the last upload or check found in S3 that this host did not put there."""
    from mailctl.core.job_results import last

    found = {}
    for what in ("copies", "copies-verify"):
        for problem in (last(facts.context, what) or {}).get("document", {}).get("problems", []):
            found[problem["field"]] = problem["wrong"]
    for name, wrong in list(found.items())[:SHOWN_COPIES]:
        yield Finding(f"{name}: {wrong}", name)


def _of_status(facts: Facts, name: str) -> Iterator[Finding]:
    """The lines of that name in `mailctl status`, which is asked as seldom as the conditions that need it."""
    kept = facts.memory.get("status", {"at": 0})
    if not 0 <= facts.now - kept["at"] < STATUS_SECONDS:
        words = ["status", "--json", "--repo", str(facts.context.repo), *(["--local"] if facts.local else [])]
        done = subprocess.run(
            [sys.executable, "-m", "mailctl", *words],
            capture_output=True,
            timeout=STATUS_SECONDS,
            check=False,
        )
        said = json.loads(done.stdout)
        kept = facts.memory["status"] = {
            "at": facts.now,
            **{key: said[key] for key in ("lines", "certificates")},
        }
    wrong = [one["found"] for one in kept["lines"] if one["name"] == name and one["mark"] != "ok"]
    if wrong:
        yield Finding("; ".join(wrong))


def drift(facts: Facts) -> Iterator[Finding]:
    yield from _of_status(facts, "drift")


def agent_silent(facts: Facts) -> Iterator[Finding]:
    """With DEPLOY_METHOD=pull a timer has it look every two minutes; trouble is no look."""
    if facts.context.setting("DEPLOY_METHOD") != "pull" or not _history(facts):
        return
    state = agent.state(facts.context)
    age = facts.now - max(state.get("ran", 0), facts.memory["began"])
    if age > AGENT_SECONDS:
        why = f": {plain(str(state['trouble']))[:300]}" if state.get("trouble") else ""
        yield Finding(f"it did not look for new commits for {duration(age)}{why}")


def agent_tokens(facts: Facts) -> Iterator[Finding]:
    for name, token in agent.state(facts.context).get("tokens", {}).items():
        left = (token.get("ends") or facts.now + 2 * TOKEN_SECONDS) - facts.now
        if token.get("wrong"):
            yield Finding(f"keys/{name}: {plain(str(token['wrong']))[:300]}", name)
        elif left < TOKEN_SECONDS:
            yield Finding(f"keys/{name} ends in {duration(max(0.0, left))}", name)


def commit_waits(facts: Facts) -> Iterator[Finding]:
    waiting = agent.state(facts.context).get("waiting")
    if waiting and (age := facts.now - waiting["since"]) > HOUR:
        why = plain(str(waiting["why"]))[:300]
        yield Finding(f"{waiting['commit'][:12]} waits for {duration(age)}: {why}", waiting["commit"][:12])


def commit_refused(facts: Facts) -> Iterator[Finding]:
    """The last deployment did not end well, whoever asked for it; it is over when what is wanted runs."""
    last = next(iter(_history(facts)), None)
    looked = agent.state(facts.context).get("last") or {}
    wanted = looked.get("result") == "unchanged" and not looked.get("reason")
    if last and not last["ok"] and not (wanted and looked["at"] > last["at"]):
        commit, why = last["ref"][:12], plain(str(last["reason"]))[:300]
        yield Finding(f"{commit} {last['result']}: {why}", commit)


def _history(facts: Facts) -> list[dict[str, Any]]:
    from mailctl.deploy.records import Records

    return facts.once("deployments", lambda: Records.of(facts.context).history())


def certificates(facts: Facts) -> Iterator[Finding]:
    yield from _of_status(facts, "certificates")


def client_certificate(facts: Facts) -> Iterator[Finding]:
    """A renewal begins with a third of its life left, so with a fifth left several have failed."""
    host, folder = client_host(facts.context), folders.secrets(facts.context)
    if not host:
        return
    from mailctl.secret_files import client_certificate as client

    found = client.read((folder / client.FILE).read_bytes(), (folder / "internal_ca.crt").read_bytes())
    problem = str(read(facts.context, "certificate").get("problem") or "")
    why = f"; the last try: {plain(problem)[:300]}" if problem else ""
    if found is None or not client.covers(found, [host]):
        yield Finding(f"{client.FILE} holds no certificate of {host}{why}")
    elif found.own and problem:
        yield Finding(f"{host} has none that phones trust{why}")
    elif (left := found.ends.timestamp() - facts.now) < found.life * client.ALARM_BELOW:
        ends = f"ends in {duration(left)}" if left > 0 else "has ended"
        yield Finding(f"that of {host} {ends}{why}")


def dns(facts: Facts) -> Iterator[Finding]:
    """What `mailctl domain dns` found, which a timer runs every day."""
    yield from _left(facts, "dns", 36 * HOUR)


def held(facts: Facts) -> Iterator[Finding]:
    """Nothing ends it by time: mail that waits is not lost, and what it would go through may lose it."""
    began = hold.since(facts.context)
    if began is not None and facts.now - began > HELD_SECONDS:
        yield Finding(f"mail has been waiting for {duration(facts.now - began)} (make history says why)")


def probe(facts: Facts) -> Iterator[Finding]:
    """What `mailctl probe` left; how often it runs stands in its result (`every`, in seconds)."""
    found = read(facts.context, "probe")
    if found:
        yield from _left(facts, "probe", 3 * float(found.get("every") or HOUR) + 600)


def _left(facts: Facts, name: str, limit: float) -> Iterator[Finding]:
    found = read(facts.context, name)
    age = facts.now - float(found["at"] if found else facts.memory["began"])
    if age > limit:
        yield Finding(f"the last result is {duration(age)} old" if found else "it never ran", "old")
    elif found and not found["ok"]:
        yield Finding(plain(str(found.get("text", "")))[:1000] or "the last one failed")


def spool(facts: Facts) -> Iterator[Finding]:
    """What the Worker last reported of the mail that waits at Cloudflare."""
    import yaml

    worker = yaml.safe_load((facts.context.repo / "edge/edge.yml").read_text("utf-8")).get("worker") or {}
    if not worker.get("spool"):
        return
    said: dict[str, Any] = json.loads(facts.inside(API, "python", "-c", ASK_SPOOL))
    age = facts.now - float(said["oldest"]) if said.get("waiting") and said.get("oldest") else 0
    text = f"{said.get('waiting')} mails wait at Cloudflare, the oldest for {duration(age)}"
    if age > (worker["spool"]["days"] - SPOOL_DAYS_LEFT) * DAY:
        yield Finding(f"{text}; it is deleted there after {worker['spool']['days']} days", "ends")
    elif age > SPOOL_HOURS * HOUR:
        yield Finding(text)


def clock(facts: Facts) -> Iterator[Finding]:
    """What systemd says; and a clock that was set back."""
    back = facts.memory.get("at", 0) - facts.now
    if back > CLOCK_SECONDS:
        yield Finding(f"the clock went back by {duration(back)}")
        return
    command = ["timedatectl", "show", "--property=NTPSynchronized", "--value"]
    said = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False).stdout.strip()
    if said not in ("yes", "no"):
        raise Refused(Problem("timedatectl", "does not say whether the clock is right", "timedatectl"))
    if said == "no":
        yield Finding("the clock is not synchronised with any other")


def alarms(facts: Facts) -> Iterator[Finding]:
    late = [one for one in facts.memory.get("outbox", []) if facts.now - one["at"] > 600]
    if late:
        yield Finding(f"{len(late)} wait to be sent: {plain(late[-1]['said'])[:300]}")
