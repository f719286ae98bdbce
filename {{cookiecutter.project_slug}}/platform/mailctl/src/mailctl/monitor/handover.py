"""What the monitor tells usermgmt for its overview: how the server is, and how full mailboxes are.

In return usermgmt names the mailboxes whose passwords are being guessed, a condition of mail.py.

usermgmt has no way out to the host, so it is told through its own command line.
"""

import json
import re
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from mailctl.core import hosts, placement, probe_record
from mailctl.core.containers import chosen, output
from mailctl.core.errors import Problem, Refused
from mailctl.core.job_ages import ages
from mailctl.core.mail_queue import DEFERRED, HELD
from mailctl.monitor import cluster
from mailctl.monitor.facts import Facts
from mailctl.monitor.host import percent_used

if TYPE_CHECKING:
    from mailctl.core.log_lines import LogLine

EVERY_SECONDS, USAGE_SECONDS = 290, 3590
TELL_SECONDS = 20
# Ten thousand mailboxes take a while. What was not said by then is asked for again in an hour.
MEASURE_SECONDS = 60
DAYS = 14
#: Deliveries are counted by how long they took: up to so many seconds each, and longer.
LIMITS = (10, 60, 600, 3600)
DELIVERY = re.compile(
    r"postfix/[\w/-]*(?:lmtp|smtp)\[\d+\]: \w+: to=<([^>]*)>,.*?"
    r" delay=(\d+(?:\.\d+)?),.*? status=(sent|deferred) "
)
# One mailbox that cannot be asked is no reason to leave out the others.
MEASURE = "doveadm -f tab quota get -A; true"
# Mail that only this server sends itself: that of canaries and probes.
OWN = re.compile(r"mailctl-canary\.test$|^mailctl-probe[+@]")


def count_deliveries(facts: Facts) -> None:
    """Add what Postfix delivered and deferred since the last run to its day (UTC)."""
    days = facts.memory.setdefault("deliveries", {})
    for day, kind in _deliveries(facts.answered("lines", [])):
        counts = days.setdefault(day, [0] * (len(LIMITS) + 2))
        counts[kind] += 1
    oldest = (datetime.fromtimestamp(facts.now, UTC) - timedelta(days=DAYS)).date().isoformat()
    for day in [day for day in days if day <= oldest]:
        del days[day]


def _deliveries(lines: "Iterable[LogLine]") -> Iterator[tuple[str, int]]:
    """Day and place among the counts: the last is what was deferred."""
    for line in lines:
        found = DELIVERY.search(line.text) if line.service == "postfix" else None
        if found and not OWN.search(found[1]):
            slow = sum(float(found[2]) > limit for limit in LIMITS)
            yield f"{line.at:%Y-%m-%d}", slow if found[3] == "sent" else -1


def tell(facts: Facts, state: dict[str, Any]) -> None:
    """Tell usermgmt what is due. One that cannot be told is asked again in the next run."""
    kept = facts.memory.setdefault("told", {"at": 0, "usage_at": 0, "problem": ""})
    if 0 <= facts.now - kept["at"] < EVERY_SECONDS or not facts.server:
        return
    measure = not 0 <= facts.now - kept["usage_at"] < USAGE_SECONDS
    try:
        leads = cluster.concerns(facts, whole=True)
        document = report(facts, state) if leads else {"incidents": [], "whole": False}
        if hosts.several(facts.context):
            document["host"] = cluster.told(facts)
            document["shard"] = placement.shard(facts.context) or ""
        # Each of several hosts knows its own mailboxes, if it has any.
        if measure and (document.get("shard") or not hosts.several(facts.context)):
            # Also when it fails: it is dear.
            kept["usage_at"] = facts.now
            document["usage"] = usage(facts)
        container = chosen(facts.containers, "usermgmt", facts.engine.project)
        said = json.dumps(document).encode()
        attacks = output(container, "usermgmt", "host-news", stdin=said, limit=TELL_SECONDS)
        facts.memory["attacks"] = {"at": facts.now, "found": json.loads(attacks or b"[]")}
        kept.update(at=facts.now, problem="")
    except facts.unanswered as error:
        kept["problem"] = f"{type(error).__name__} {error}"[:300]


def report(facts: Facts, state: dict[str, Any]) -> dict[str, Any]:
    """All but the mailboxes, as services/host_news.py of usermgmt reads it."""
    containers = facts.answered("containers", {})
    days = facts.memory["deliveries"].items()
    probe = probe_record.read(facts.context)
    left = (facts.memory.get("status") or {}).get("certificates") or {}
    return {
        "incidents": state["incidents"],
        "services": len(containers) or None,
        "healthy": sum(one.ok for one in containers.values()),
        "queue": _queue(facts),
        "jobs": [
            {
                "what": age.what,
                "at": None if age.seconds is None else facts.now - age.seconds,
                "late": age.late,
                "failed": age.failed,
            }
            for age in ages(facts.context, facts.now)
        ],
        "probe": probe and {key: probe.get(key) for key in ("at", "ok", "seconds")},
        "certificate_days": min(left.values(), default=None),
        "disks": [
            {"name": key, "percent": round(percent_used(room)), "free_bytes": room.f_bavail * room.f_frsize}
            for key, _, room in facts.answered("disks", [])
        ],
        "forwards": facts.memory.get("forwards", []),
        "deliveries": [{"day": day, "seconds": counts[:-1], "deferred": counts[-1]} for day, counts in days],
    }


def _queue(facts: Facts) -> dict[str, Any] | None:
    postfix = facts.answered("postfix", None)
    if postfix is None:
        return None
    mails = [one for one in postfix.queue if one.queue != HELD]
    return {
        "waiting": len(mails),
        "deferred": sum(one.queue == DEFERRED for one in mails),
        "held": len(postfix.queue) - len(mails),
        "oldest_at": mails[0].arrived if mails else None,
    }


def usage(facts: Facts) -> dict[str, int]:
    """Bytes in each mailbox by its address, on this host's disk: one call for all. Raises Refused."""
    container = chosen(facts.containers, hosts.store(facts.context), facts.engine.project)
    printed = output(container, "sh", "-c", MEASURE, limit=MEASURE_SECONDS).decode("utf-8", "replace")
    head, *rows = printed.splitlines() or [""]
    names = head.split("\t")
    if not {"Username", "Type", "Value"} <= set(names):
        raise Refused(Problem("doveadm quota get", "does not say how full mailboxes are", "make status"))
    found = [dict(zip(names, row.split("\t"), strict=False)) for row in rows]
    return {one["Username"]: int(one["Value"]) * 1024 for one in found if one["Type"] == "STORAGE"}
