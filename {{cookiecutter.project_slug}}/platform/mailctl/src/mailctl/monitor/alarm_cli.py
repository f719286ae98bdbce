"""`mailctl alarm`: how alarms leave, and what was sent. Work is imported when a command runs."""

import time
from dataclasses import asdict
from typing import Annotated, Any

import typer

from mailctl.core.context import Context, JsonOption, RepoOption, command, group
from mailctl.core.stack import LocalOption, stack

app = group("Alarms: try every way, list what is open, silence what is known.")
SHOWN = 20
# Long enough for the Worker's cron, which looks each minute.
TEST_SECONDS = 300


@app.command()
def test(local: LocalOption = False, repo: RepoOption = None, as_json: JsonOption = False) -> None:
    """Send a test alarm by every way, and say what came of each; exit 1 unless one took it."""
    from mailctl.core import alarms

    with command(repo, as_json) as outer:
        context = stack(outer, local)
        urls, text = alarms.urls(context), "A test: nothing is wrong. Sent by hand: make alarm-test."
        ways = [asdict(way) for way in alarms.send(urls, f"[{context.project_name}] Test alarm", text)]
        worker = alarms.worker_mails(context)
        if worker:
            _leave_test(context, text)
            said = f"the Worker mails {worker} within two minutes; it cannot be called from here"
            ways.append({"name": "Worker's mail", "sent": None, "said": said})
        for way in ways:
            word = {True: "sent", False: "failed", None: "waits"}[way["sent"]]
            context.out.row(word, f"{way['name']}  {way['said']}".rstrip())
        if not ways:
            context.out.warn("no alarm leaves this host: docs/monitoring.md says how to set a way up")
        context.finish({"ok": bool(ways) and all(way["sent"] is not False for way in ways), "ways": ways})


def _leave_test(context: Context, text: str) -> None:
    """In the state that the Worker reads, now and in the monitor's next runs."""
    from mailctl.core.monitoring import leave, read

    now = time.time()
    incident = {"id": "alarm-test", "since": now, "severity": "warning", "title": "Test alarm"}
    incident |= {"text": text, "fix": "nothing to do"}
    orders, state = read(context, "orders"), read(context, "state")
    leave(context, "orders", {**orders, "test": {"until": now + TEST_SECONDS, "incident": incident}})
    if state:
        others = [one for one in state["incidents"] if one["id"] != incident["id"]]
        leave(context, "state", {**state, "incidents": [*others, incident]})


@app.command("list")
def show(local: LocalOption = False, repo: RepoOption = None, as_json: JsonOption = False) -> None:
    """List open incidents, silences, alarms that could not be sent, and the last 20 that were."""
    from mailctl.core.monitoring import read

    with command(repo, as_json) as outer:
        context = stack(outer, local)
        state, memory, now = read(context, "state"), read(context, "memory"), time.time()
        silences = [one for one in read(context, "orders").get("silences", []) if one["until"] > now]
        found: dict[str, Any] = {
            "at": state.get("at"),
            "incidents": state.get("incidents", []),
            "silences": silences,
            "unsent": [
                {name: one[name] for name in ("at", "subject", "said")} for one in memory.get("outbox", [])
            ],
            "history": memory.get("history", [])[-SHOWN:],
        }
        if not context.out.as_json:
            _show(context, found)
        context.finish({"ok": True, **found})


def _show(context: Context, found: dict[str, Any]) -> None:
    def when(at: float) -> str:
        return time.strftime("%d %b %H:%M", time.localtime(at))

    out = context.out
    if not found["at"]:
        out.warn("the monitor has not run yet: make setup-host makes its timer")
    for one in found["incidents"]:
        out.row(one["severity"], f"since {when(one['since'])}  {one['id']}: {one['text']}")
        out.row("", f"fix: {one['fix']}")
    if not found["incidents"]:
        out.show("No open incident.")
    for one in found["silences"]:
        out.row("silenced", f"until {when(one['until'])}  {one['id']}  {one['reason']}".rstrip())
    for one in found["unsent"]:
        out.row("not sent", f"{when(one['at'])}  {one['subject']}: {one['said']}")
    for one in found["history"]:
        out.row(one["kind"], f"{when(one['at'])}  {one['id']}: {one['text'].partition(chr(10))[0]}")


@app.command()
def silence(
    id: Annotated[str, typer.Argument(metavar="ID", help="An incident, a condition, or all.")],
    length: Annotated[str, typer.Option("--for", help="For how long: 30m, 2h, 7d.")],
    reason: Annotated[str, typer.Option("--reason", help="For whoever looks at the list.")] = "",
    local: LocalOption = False,
    repo: RepoOption = None,
    as_json: JsonOption = False,
) -> None:
    """Send nothing of an incident for a while; afterwards it is alarmed if it is still there."""
    from mailctl.core.errors import Misuse, Problem
    from mailctl.core.format import moment
    from mailctl.monitor.run import silence as add

    with command(repo, as_json) as outer:
        if not length[:-1].isdigit():
            raise Misuse(Problem("--for", "is no length of time", "30m, 2h or 7d", value=length))
        context, now = stack(outer, local), time.time()
        there = add(context, id, 2 * now - moment("--for", length), reason, now)
        context.out.row("silenced", f"{id} for {length}")
        context.finish({"ok": True, "silences": there})
