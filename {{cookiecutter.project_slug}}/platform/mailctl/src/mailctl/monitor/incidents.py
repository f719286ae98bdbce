"""From what is wrong now to incidents: each has one alarm and one all-clear, even if it comes and goes."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

CRITICAL, WARNING = "critical", "warning"
ALARM, ALL_CLEAR = "alarm", "all-clear"

Record = dict[str, Any]


@dataclass(frozen=True)
class Seen:
    """Something that is wrong now. `hold` and `clear` in seconds: how long until its alarm, and until its
    all-clear; `behind` names the conditions that explain it, `once` says that it has no all-clear.
    """

    condition: str
    title: str
    severity: str
    text: str
    fix: str
    hold: float
    clear: float
    behind: tuple[str, ...] = ()
    once: bool = False


@dataclass(frozen=True)
class Event:
    """An alarm or all-clear that is to be sent."""

    kind: str
    id: str
    record: Record


def advance(
    records: dict[str, Record],
    seen: Mapping[str, Seen],
    unanswered: Collection[str],
    now: float,
    muted: Callable[[str, str], bool],
) -> list[Event]:
    """Bring the records, by incident, up to now (epoch seconds), and return what is to be sent.

    Where a condition gave no answer, its incidents stay as they are. While an incident is muted (by its id
    and condition: silenced, or a deployment is under way) nothing is sent of it: what is not open yet begins
    anew, what is open stays open.
    """
    causes = {one.condition for one in seen.values()}
    events = []
    for id, one in seen.items():
        record = records.setdefault(id, {"since": now, "opened": None})
        shown = {"condition": one.condition, "title": one.title, "severity": one.severity}
        record.update(shown, text=one.text, fix=one.fix, clear=one.clear, once=one.once, gone=None)
        if record["opened"] is not None:
            continue
        if muted(id, one.condition) or causes.intersection(one.behind):
            record["since"] = now
        elif now - record["since"] >= one.hold:
            record["opened"] = now
            events.append(Event(ALARM, id, record))
    for id in [id for id in records if id not in seen]:
        events += _absent(records, id, unanswered, now, muted(id, records[id]["condition"]))
    return events


def _absent(
    records: dict[str, Record], id: str, unanswered: Collection[str], now: float, muted: bool
) -> list[Event]:
    record = records[id]
    if record["condition"] in unanswered:
        return []
    if record["opened"] is None:
        del records[id]
        return []
    if muted:
        return []
    if record["gone"] is None:
        record["gone"] = now
    if now - record["gone"] < record["clear"]:
        return []
    del records[id]
    return [] if record["once"] else [Event(ALL_CLEAR, id, record)]


def opened(records: Mapping[str, Record]) -> list[dict[str, Any]]:
    """The open incidents as the state file has them, the oldest first."""
    names = ("severity", "title", "text", "fix")
    found = [
        {"id": id, "since": record["since"], **{name: record[name] for name in names}}
        for id, record in records.items()
        if record["opened"] is not None
    ]
    return sorted(found, key=lambda one: (one["since"], one["id"]))
