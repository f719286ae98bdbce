"""The monitor's state as Prometheus text: https://prometheus.io/docs/instrumenting/exposition_formats/"""

from collections.abc import Collection, Iterator
from typing import Any

from mailctl.core import hold
from mailctl.core.job_ages import ages
from mailctl.core.mail_queue import HELD
from mailctl.monitor.conditions import table
from mailctl.monitor.facts import Facts

HELP = {
    "monitor_timestamp_seconds": "When the monitor last ran.",
    "incident": "1 for each open incident.",
    "condition_known": "0 for a condition that could not be asked.",
    "service_up": "1 for a service that is healthy.",
    "queue_mails": "Mails that wait, those on hold left out.",
    "queue_oldest_seconds": "For how long the oldest of them has waited.",
    "disk_free_bytes": "Bytes free.",
    "disk_free_inodes": "Inodes free.",
    "job_age_seconds": "Since the last good run of a job.",
    "alarms_waiting": "Alarms that could not be sent yet.",
    "deployment_timestamp_seconds": "When the last deployment ended.",
    "deployment_last_result": "1 for the result of the last deployment.",
    "deployment_held_seconds": "For how long the last deployment held mail.",
}
Sample = tuple[str, dict[str, str], float]


def text(facts: Facts, state: dict[str, Any], unknown: Collection[str]) -> str:
    """What could not be asked is left out, and `condition_known` says so."""
    found: dict[str, list[str]] = {}
    for name, labels, value in _samples(facts, state, unknown):
        marks = ",".join(f'{key}="{_escaped(label)}"' for key, label in labels.items())
        found.setdefault(name, []).append(f"mailserver_{name}{{{marks}}} {value:.0f}\n".replace("{}", ""))
    return "".join(
        f"# HELP mailserver_{name} {HELP[name]}\n# TYPE mailserver_{name} gauge\n{''.join(lines)}"
        for name, lines in found.items()
    )


def _samples(facts: Facts, state: dict[str, Any], unknown: Collection[str]) -> Iterator[Sample]:
    yield "monitor_timestamp_seconds", {}, state["at"]
    for one in state["incidents"]:
        yield "incident", {"id": one["id"], "severity": one["severity"], "title": one["title"]}, 1
    for row in table():
        yield "condition_known", {"id": row.id}, row.id not in unknown
    for name, one in facts.answered("containers", {}).items():
        yield "service_up", {"service": name}, one.ok
    if postfix := facts.answered("postfix", None):
        mails = [one for one in postfix.queue if one.queue != HELD]
        yield "queue_mails", {}, len(mails)
        yield "queue_oldest_seconds", {}, facts.now - mails[0].arrived if mails else 0
    for key, _, room in facts.answered("disks", []):
        yield "disk_free_bytes", {"disk": key}, room.f_bavail * room.f_frsize
        yield "disk_free_inodes", {"disk": key}, room.f_favail
    for age in ages(facts.context, facts.now):
        if age.seconds is not None:
            yield "job_age_seconds", {"job": age.what}, age.seconds
    yield "alarms_waiting", {}, len(facts.memory["outbox"])
    if last := hold.last(facts.context):
        yield "deployment_timestamp_seconds", {}, last["at"]
        yield "deployment_last_result", {"result": last["result"]}, 1
        yield "deployment_held_seconds", {}, (last.get("held") or {}).get("seconds", 0)


def _escaped(label: str) -> str:
    return label.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
