"""One run of the monitor: ask what is due, bring the incidents up to now, write it down, send what is due."""

import fcntl
import platform
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from hashlib import sha256
from typing import Any

from mailctl.core import alarms, files
from mailctl.core.context import Context
from mailctl.core.errors import Problem, Refused
from mailctl.core.format import duration
from mailctl.core.monitoring import folder, leave, read
from mailctl.core.stack import runtime, stack
from mailctl.monitor import handover, metrics
from mailctl.monitor.cluster import concerns
from mailctl.monitor.conditions import Condition, table
from mailctl.monitor.facts import UNANSWERED, Facts, Finding
from mailctl.monitor.incidents import ALARM, WARNING, Event, Seen, advance, opened

UNKNOWN, UNKNOWN_SECONDS = "unknown", 300
# A slow question is asked again so soon while its answer is that something is wrong.
WRONG_AGAIN_SECONDS = 600
# A deployment that takes longer is stuck, and mutes no alarm.
DEPLOY_SECONDS = 3600
HISTORY, OUTBOX, OUTBOX_SECONDS = 200, 100, 86400
STATE, MEMORY, ORDERS = "state", "memory", "orders"


def once(
    outer: Context, local: bool = False, now: float | None = None, statvfs: Callable[..., Any] | None = None
) -> dict[str, Any]:
    """Run, after any that is at work, and return the state. Raises Refused: the disk is not there."""
    from docker.errors import DockerException

    context = stack(outer, local)
    home, moment = folder(context), now or time.time()
    with (home / "lock").open("w") as turn, ExitStack() as left:
        fcntl.flock(turn, fcntl.LOCK_EX)
        server, problem = None, ""
        try:
            server = left.enter_context(runtime(outer, local))
        except Refused as refusal:
            problem = str(refusal)
        memory = {"began": moment, "records": {}, "answers": {}, **read(context, MEMORY)}
        facts = Facts(
            context, server, memory, moment, problem, local, unanswered=(*UNANSWERED, DockerException)
        )
        facts.statvfs = statvfs or facts.statvfs
        seen, unknown = ask(facts)
        orders = read(context, ORDERS)
        events = advance(memory["records"], seen, unknown, moment, muted(context, orders, moment))
        remember(context, memory, events, moment)
        handover.count_deliveries(facts)
        state = write_down(context, memory, orders, moment)
        files.write(home / "metrics.prom", metrics.text(facts, state, unknown), 0o644)
        if memory["outbox"]:
            deliver(context, memory)
        handover.tell(facts, state)
        leave(context, MEMORY, memory, 0o600)
    return state


def ask(facts: Facts) -> tuple[dict[str, Seen], set[str]]:
    """What is wrong now, by incident, and which conditions gave no answer."""
    seen: dict[str, Seen] = {}
    rows = [row for row in table() if concerns(facts, row.whole)]
    _leave_to_others(facts, {row.id for row in table()} - {row.id for row in rows})
    answers = {row.id: _answer(facts, row) for row in rows}
    for row in rows:
        for text, key in answers[row.id]["found"]:
            columns = (row.severity, text, row.fix, row.hold, row.clear, row.behind, row.once)
            seen[f"{row.id}-{key}" if key else row.id] = Seen(row.id, row.title, *columns)
    unknown = {id for id, answer in answers.items() if answer["unknown"]}
    causes = {one.condition for one in seen.values()}
    # What cannot be asked because something else is wrong is no news.
    news = [row for row in rows if row.id in unknown and not causes & {"engine", "service", *row.behind}]
    if news:
        text = "; ".join(f"{row.id}: {answers[row.id]['unknown']}" for row in news)
        title, fix = "The monitor cannot ask everything", "make status; docs/monitoring.md"
        seen[UNKNOWN] = Seen(UNKNOWN, title, WARNING, text, fix, UNKNOWN_SECONDS, UNKNOWN_SECONDS)
    return seen, unknown


def _leave_to_others(facts: Facts, conditions: set[str]) -> None:
    """Forget what another host tells of now: it is no longer ours to say, that it is over neither."""
    records = facts.memory["records"]
    for id in [id for id, record in records.items() if record["condition"] in conditions]:
        del records[id]


def _answer(facts: Facts, row: Condition) -> dict[str, Any]:
    """The answer of now, or the last one of a question that is not due yet."""
    kept = facts.memory["answers"].get(row.id)
    if kept:
        wait = row.every if not kept["found"] else min(row.every, WRONG_AGAIN_SECONDS)
        if not kept["unknown"] and 0 <= facts.now - kept["at"] < wait:
            return dict(kept)
    answer: dict[str, Any] = {"at": facts.now, "found": [], "unknown": ""}
    try:
        found: list[Finding] = list(row.ask(facts))
        answer["found"] = [(one.text, one.key) for one in found]
    except facts.unanswered as error:
        answer["unknown"] = f"{type(error).__name__} {error}"[:300]
    facts.memory["answers"][row.id] = answer
    return answer


def muted(context: Context, orders: dict[str, Any], now: float) -> Callable[[str, str], bool]:
    """Whether an incident is to be silent: by hand (`alarm silence`), or for a deployment."""
    from mailctl.deploy.records import Records

    deploying = False
    with suppress(Refused, OSError):
        records = Records.of(context)
        age = time.time() - (records.folder / "lock").stat().st_mtime
        deploying = bool(records.busy) and age < DEPLOY_SECONDS
    silent = {one["id"] for one in orders.get("silences", []) if one["until"] > now}
    return lambda id, condition: deploying or not silent.isdisjoint({id, condition, "all"})


def remember(context: Context, memory: dict[str, Any], events: list[Event], now: float) -> None:
    """Put what happened into the history, and into the outbox where there is an alarm URL."""
    ways = [_way(url) for url in alarms.urls(context)]
    history, outbox = memory.setdefault("history", []), memory.setdefault("outbox", [])
    for event in events:
        subject, text = message(context, event, now)
        history.append({"at": now, "kind": event.kind, "id": event.id, "title": subject, "text": text})
        outbox.append({"at": now, "subject": subject, "text": text, "ways": ways, "said": ""})
    memory["history"] = history[-HISTORY:]
    # Without a URL, or after a day, it is not sent any more. Each has a list of its own.
    for one in outbox:
        one["ways"] = [way for way in one["ways"] if way in ways]
    fresh = [one for one in outbox if one["ways"] and now - one["at"] < OUTBOX_SECONDS]
    memory["outbox"] = fresh[-OUTBOX:]
    memory["at"] = now


def message(context: Context, event: Event, now: float) -> tuple[str, str]:
    """Subject and text of an alarm or an all-clear."""
    record = event.record
    since = time.strftime("%Y-%m-%d %H:%M:%S %Z", time.localtime(record["since"]))
    place = f"{context.project_name} on {platform.node()}, in {context.repo}"
    if event.kind == ALARM:
        subject = f"[{context.project_name}] {record['severity'].upper()}: {record['title']}"
        quiet = f"No more of it: .venv/bin/mailctl alarm silence {event.id} --for 2h"
        return subject, f"{record['text']}\n\nsince {since}\nfix: {record['fix']}\n{place}\n{quiet}\n"
    subject = f"[{context.project_name}] all clear: {record['title']}"
    return (
        subject,
        f"{record['text']}\n\nwas so for {duration(now - record['since'])}, since {since}\n{place}\n",
    )


def write_down(
    context: Context, memory: dict[str, Any], orders: dict[str, Any], now: float
) -> dict[str, Any]:
    """The memory first: an alarm that was sent twice is better than one that never was."""
    incidents = opened(memory["records"])
    test = orders.get("test")
    if test and test["until"] > now:
        incidents.append(test["incident"])
    state = {"version": 1, "at": now, "host": platform.node(), "project": context.project_name}
    state["incidents"] = incidents
    leave(context, MEMORY, memory, 0o600)
    leave(context, STATE, state)
    return state


def deliver(context: Context, memory: dict[str, Any]) -> None:
    """Send what waits; a URL that fails is left alone until the next run."""
    urls = {_way(url): url for url in alarms.urls(context)}
    failed: set[str] = set()
    for one in memory["outbox"]:
        for name in [way for way in one["ways"] if way not in failed]:
            [way] = alarms.send([urls[name]], one["subject"], one["text"])
            if way.sent:
                one["ways"].remove(name)
            else:
                failed.add(name)
                one["said"] = f"{way.name}: {way.said}"
    memory["outbox"] = [one for one in memory["outbox"] if one["ways"]]


def _way(url: str) -> str:
    """A name for a URL that does not give it away."""
    return sha256(url.encode()).hexdigest()[:12]


def silence(context: Context, id: str, until: float, reason: str, now: float) -> list[dict[str, Any]]:
    """Add a silence, and return those that are in force. Raises Refused for an incident that cannot be."""
    known = {row.id for row in table()} | {"all", UNKNOWN}
    if id not in known and not any(id.startswith(f"{name}-") for name in known):
        fix = f"an id of `alarm list`, one of {', '.join(sorted(known))}"
        raise Refused(Problem("ID", "is no incident or condition", fix, value=id))
    orders = read(context, ORDERS)
    there = [one for one in orders.get("silences", []) if one["until"] > now and one["id"] != id]
    orders["silences"] = [*there, {"id": id, "until": until, "reason": reason}]
    leave(context, ORDERS, orders)
    return list(orders["silences"])
