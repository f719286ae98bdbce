"""The check list before a deployment: each line with a mark, what was found, and how to repair it."""

import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mailctl.core import alarms
from mailctl.core.checklist import FAILED, OK, WARNING, Line
from mailctl.core.context import Context
from mailctl.core.disks import folder_of, unmounted
from mailctl.core.errors import Problem, Refused
from mailctl.core.format import duration, size
from mailctl.core.job_ages import ages
from mailctl.core.runtime import Runtime, Service
from mailctl.deploy import described, relay
from mailctl.deploy.host import Host

# What must be free on a disk, in bytes: room for images, a dump of the database, and mail meanwhile.
ROOM = 1 << 30
# What must be free in memory where the stack runs already, and where all of it is about to start.
SPARE_MEMORY, FIRST_MEMORY = 128 << 20, 2 << 30
# What Postfix itself says: whether the domain is served here, and whether the address reaches somebody.
WHO_GETS = """
postmap -q "$0" mysql:/run/postfix/sql/domains.cf >/dev/null && echo served
postmap -q "$1" mysql:/run/postfix/sql/aliases.cf >/dev/null && echo received
true"""
# Clocks that are further apart spoil TLS and the order of deployments, in seconds.
CLOCK_SECONDS = 300


@dataclass(frozen=True)
class Facts:
    """What the checks look at; `services` are those that shall run."""

    context: Context
    runtime: Runtime
    services: Mapping[str, Service]
    host: Host


Check = Callable[[Facts], Iterator[Line]]
# What `make preflight` refuses and a deployment only says: it may be the repair of something worse.
NO_HINDRANCE = {"administrator"}


def run(host: Host, services: Mapping[str, Service]) -> list[Line]:
    """Every line of the list."""
    facts = Facts(host.context, host.runtime, services, host)
    return [line for name, check in CHECKS.items() for line in _asked(name, check, facts)]


def refuse(host: Host, services: Mapping[str, Service]) -> None:
    """Raises Refused with every line that failed; says those that are only warnings."""
    lines = run(host, services)
    failed = [line for line in lines if line.mark == FAILED and line.name not in NO_HINDRANCE]
    for line in lines:
        if line.mark != OK and line not in failed:
            host.say(f"warning: {line.name}: {line.found}")
    if failed:
        raise Refused(*(Problem(one.name, one.found, one.fix) for one in failed))


def _asked(name: str, check: Check, facts: Facts) -> list[Line]:
    try:
        return list(check(facts))
    except Refused as refusal:
        return [Line(f"{name} {p.field}", FAILED, p.wrong, p.fix) for p in refusal.problems]


def _variables(facts: Facts) -> Iterator[Line]:
    """Those that every part relies on; compose itself has named those that it cannot do without."""
    context = facts.context
    missing = [
        name for name in ("SSD_PATH", "HDD_PATH", "MAIL_DOMAIN", "ADMIN_EMAIL") if not context.setting(name)
    ]
    if missing:
        yield Line("variables", FAILED, f"not set: {', '.join(missing)}", "write them into .env")
    elif "@" not in context.setting("ADMIN_EMAIL"):
        yield Line("variables", FAILED, "ADMIN_EMAIL is no mail address", "write one into .env")
    else:
        yield Line("variables", OK, f"{len(context.env_file.entries)} in {context.env_path.name}")


def administrator(facts: Facts) -> Iterator[Line]:
    """Alarms reach somebody, also when this server fails."""
    address = facts.context.setting("ADMIN_EMAIL")
    local, _, domain = address.rpartition("@")
    fix = "write an address elsewhere into ADMIN_EMAIL of .env"
    said: list[str] | None = None
    if "postfix" in facts.runtime.running():
        words = ("sh", "-c", WHO_GETS, domain, f"{local.partition('+')[0]}@{domain}")
        with suppress(Refused):
            said = facts.runtime.inside("postfix", words).split()
    if "served" not in (said or []) and domain != facts.context.setting("MAIL_DOMAIN"):
        yield Line("administrator", OK, f"{address}, outside this server")
    elif said is not None and "received" not in said:
        yield Line("administrator", FAILED, f"nobody gets mail for {address}: alarms are lost", fix)
    else:
        yield Line("administrator", WARNING, f"{address} is on this server: alarms about it wait in it", fix)


def alarm_ways(facts: Facts) -> Iterator[Line]:
    """A way out of the house that does not need this server."""
    ways = {"alarm_urls": alarms.urls(facts.context), "the Worker's mail": alarms.worker_mails(facts.context)}
    if there := [name for name, way in ways.items() if way]:
        yield Line("alarms", OK, f"leave by {' and '.join(there)}")
    else:
        wrong = "leave by this server's own Postfix only: none while it is down"
        yield Line("alarms", WARNING, wrong, "set a way up: docs/monitoring.md; then: make alarm-test")


def _secrets(facts: Facts) -> Iterator[Line]:
    """Every file that a service mounts is there, and those that must hold something do."""
    from mailctl.secret_files.table import SOURCES

    optional = {source.file for source in SOURCES if source.make is None}
    folder = facts.context.folder("SECRETS_DIR", "secrets")
    tree, broken = facts.host.tree, []
    for service in facts.services.values():
        for source, _ in service.files:
            path = tree.staged(source)
            if not path.exists():
                broken.append(f"{path.name} of {service.name} is missing")
            elif path.is_file() and path.parent == folder and not path.stat().st_size:
                unused = path.name in optional and path.name != "cloudflared_token"
                broken += [] if unused else [f"{path.name} of {service.name} is empty"]
    if broken:
        fix = "make setup makes those that it knows; others must be put there by hand"
        yield Line("secrets and mounted files", FAILED, "; ".join(dict.fromkeys(broken)), fix)
    else:
        count = sum(len(service.files) for service in facts.services.values())
        yield Line("secrets and mounted files", OK, f"{count} are there")


def _certificates(facts: Facts) -> Iterator[Line]:
    """Those with less than 30 days left are renewed by `make setup`; an expired one stops the delivery."""
    from mailctl.secret_files.certificates import RENEW_DAYS
    from mailctl.secret_files.inspect import inspect

    found = inspect(facts.context, facts.context.folder("SECRETS_DIR", "secrets")).findings
    dated = [one for one in found if one.expires_days is not None]
    for one in dated:
        days = one.expires_days or 0
        if days < RENEW_DAYS:
            mark = FAILED if days < 0 else WARNING
            yield Line(f"certificate {one.name}", mark, f"{days} days left", "make setup renews it")
    if dated and all((one.expires_days or 0) >= RENEW_DAYS for one in dated):
        least = min(one.expires_days or 0 for one in dated)
        yield Line("certificates", OK, f"at least {least} days left")


def _disks(facts: Facts) -> Iterator[Line]:
    """Mounted, and with room; the engine's own disk as well."""
    places = {name: folder_of(facts.context, name) for name in ("SSD_PATH", "HDD_PATH")}
    for name, path in places.items():
        if problem := unmounted(name, path):
            yield Line(f"disk {name}", FAILED, problem.wrong, problem.fix)
            continue
        if not path.is_dir():
            yield Line(f"disk {name}", FAILED, f"{path} does not exist", "make setup")
            continue
        yield _room(f"disk {name}", path)
    home = facts.runtime.engine.home
    if home.is_dir():
        yield _room("disk of the engine", home)


def _room(name: str, path: Path) -> Line:
    free = shutil.disk_usage(path).free
    fix = "make room: docs/how-do-i.md"
    return Line(name, OK if free >= ROOM else FAILED, f"{size(free)} free at {path}", fix)


def _memory(facts: Facts) -> Iterator[Line]:
    words = Path("/proc/meminfo").read_text("utf-8").split()
    free = int(words[words.index("MemAvailable:") + 1]) * 1024
    need = SPARE_MEMORY if facts.runtime.running() else FIRST_MEMORY
    fix = "stop what else runs here, or give the host more memory: it wants 8 GB"
    yield Line("memory", OK if free >= need else FAILED, f"{size(free)} free, {size(need)} needed", fix)


def _ports(facts: Facts) -> Iterator[Line]:
    """Each published port is ours already, or free."""
    ours = {port for found in facts.runtime.running().values() for port in found.published}
    taken = []
    for service in facts.services.values():
        for port in service.raw.get("ports") or []:
            number = int(port.get("published") or 0)
            if number and number not in ours and _is_taken(port.get("host_ip") or "0.0.0.0", number):  # noqa: S104
                taken.append(f"{number} ({service.name})")
    if taken:
        fix = "see who has it: ss -ltnp; or publish another one"
        yield Line("ports", FAILED, f"taken by another program: {', '.join(taken)}", fix)
    else:
        yield Line("ports", OK, "free, or ours")


def _is_taken(address: str, port: int) -> bool:
    with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
        except OSError:
            return True
    return False


def _clock(facts: Facts) -> Iterator[Line]:
    """Not before what has happened already; told by the system to be right, where it says so."""
    history = facts.host.records.history()
    if history and history[0]["at"] > time.time() + CLOCK_SECONDS:
        yield Line("clock", FAILED, "is before the last deployment", "set it: timedatectl set-ntp true")
        return
    try:
        command = ["timedatectl", "show", "--property=NTPSynchronized", "--value"]
        said = subprocess.run(command, capture_output=True, text=True, timeout=5, check=False).stdout.strip()
    except (OSError, subprocess.TimeoutExpired):
        said = ""
    if said == "no":
        yield Line("clock", WARNING, "is not synchronised", "timedatectl set-ntp true")
    else:
        yield Line("clock", OK, time.strftime("%Y-%m-%d %H:%M:%S %Z"))


def _states(facts: Facts) -> Iterator[Line]:
    running = facts.runtime.running()
    bad = [f"{name} ({found.word})" for name, found in running.items() if not found.ok]
    if bad:
        yield Line("service states", WARNING, f"not healthy: {', '.join(bad)}", "make status")
    else:
        text = f"{len(running)} healthy" if running else "nothing runs yet"
        yield Line("service states", OK, f"{text}; recorded by each deployment")


def _backup(facts: Facts) -> Iterator[Line]:
    found = next((age for age in ages(facts.context) if age.what == "backup"), None)
    if found is None or found.seconds is None:
        yield Line("backup", WARNING, "there is none yet", "make backup")
    elif found.failed or found.late:
        wrong = "the last one failed" if found.failed else f"is {duration(found.seconds)} old"
        yield Line("backup", WARNING, wrong, "make backup")
    else:
        yield Line("backup", OK, f"good, {duration(found.seconds)} old")


def _point(facts: Facts) -> Iterator[Line]:
    """The images of the last good deployment are still here."""
    points = facts.host.records.points()
    if not points:
        yield Line("roll-back point", WARNING, "none: this is the first deployment", "make deploy makes one")
        return
    gone = [name for name, image in points[0].images.items() if not facts.runtime.image(image)]
    if gone:
        text = f"{points[0].ref[:12]}; images to be fetched or built again: {', '.join(gone)}"
        yield Line("roll-back point", WARNING, text, "do not run docker system prune --all on this host")
    else:
        yield Line("roll-back point", OK, f"{points[0].ref[:12]}, with all its images")


CHECKS: dict[str, Check] = {
    "hosts": lambda facts: described.hosts(facts.host.tree),
    "variables": _variables,
    "administrator": administrator,
    "alarms": alarm_ways,
    "secrets": _secrets,
    "certificates": _certificates,
    "disks": _disks,
    "volumes": lambda facts: described.volumes(facts.runtime, facts.host.tree),
    "Makefile": lambda facts: described.makefile(facts.host.tree),
    "memory": _memory,
    "ports": _ports,
    "clock": _clock,
    "states": _states,
    "backup": _backup,
    "roll-back point": _point,
}


def whole(host: Host) -> list[Line]:
    """The list for people, with what a deployment finds out by itself: syntax, edits by hand, the lock."""
    lines: list[Line] = []
    services: dict[str, Service] = {}
    try:
        services = host.runtime.services(host.tree.repo)
        lines.append(Line("compose syntax", OK, f"{len(services)} services"))
    except Refused as refusal:
        said = " ".join((refusal.details or str(refusal)).split())[-300:]
        lines.append(Line("compose syntax", FAILED, said, "docker compose config"))
    try:
        host.tree.refuse_edits()
        lines.append(Line("repository", OK, f"at {host.tree.head[:12]}, nothing edited by hand"))
    except Refused as refusal:
        lines += [Line("repository", FAILED, p.wrong, p.fix) for p in refusal.problems]
    busy = host.records.busy
    fix = "wait until it is done: ps aux | grep mailctl"
    ours = Facts(host.context, host.runtime, services, host)
    lines.append(Line("no deployment under way", FAILED if busy else OK, busy or "none", fix))
    # Not before each deployment: that may be the repair, and asks nobody outside.
    return [*lines, *run(host, services), *_asked("relay", lambda facts: relay.lines(facts.context), ours)]


def document(lines: list[Line]) -> dict[str, Any]:
    failed = [line for line in lines if line.mark == FAILED]
    return {"ok": not failed, "lines": [line.as_dict() for line in lines]}
