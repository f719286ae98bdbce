"""`mailctl trace`: every step of one mail. Work is imported when the command runs."""

from typing import TYPE_CHECKING, Annotated

import typer

from mailctl.core.context import JsonOption, RepoOption, command
from mailctl.core.stack import LocalOption

if TYPE_CHECKING:
    from mailctl.core.mail_log import Step
    from mailctl.core.runtime import Runtime
    from mailctl.trace.ways import Way

# The memory of mailserver-api, which outlives its log: what happened to the mails with these queue ids.
_JOURNAL = ("python", "-m", "mailserver_api.recall", "queue_id")


def trace(
    name: Annotated[str, typer.Argument(metavar="ID", help="A queue id, a Message-ID, or an address.")],
    since: Annotated[
        str, typer.Option("--since", help="How far to look back: 30m, 6h, 7d, or a time.")
    ] = "7d",
    last: Annotated[int, typer.Option("--last", min=1, help="Of an address, so many mails.")] = 20,
    local: LocalOption = False,
    repo: RepoOption = None,
    as_json: JsonOption = False,
) -> None:
    """Trace one mail, with what was decided at each step; of an address, its last mails."""
    from mailctl.core import mail_log
    from mailctl.core.format import moment
    from mailctl.core.stack import runtime
    from mailctl.trace.show import show_list, show_way
    from mailctl.trace.ways import Ways

    with command(repo, as_json) as context, runtime(context, local) as server:
        lines = server.lines(mail_log.SERVICES, moment("--since", since))
        kind, found = Ways(map(mail_log.steps, lines)).find(name)
        if not found:
            raise _unknown(name, {line.service: line.at.astimezone() for line in reversed(lines)})
        if kind == "address":
            found = found[-last:]
        if len(found) == 1:
            found = [_remembered(server, found[0])]
        if kind == "address" and len(found) > 1:
            show_list(context.out, found)
        else:
            for number, way in enumerate(found):
                context.out.show(*([""] if number else []))
                show_way(context.out, way)
        context.finish({"ok": True, "name": name, "is": kind, "mails": [way.as_dict() for way in found]})


def _remembered(server: "Runtime", way: "Way") -> "Way":
    """The way, with what mailserver-api remembers where its log is gone, as after a deployment."""
    from dataclasses import replace

    from mailctl.core.errors import Refused
    from mailctl.core.mail_log import RECEIVED

    told = any(step.service == "mailserver-api" for step in way.steps)
    came = [step.text for step in way.steps if step.decided == RECEIVED]
    if told or way.id == way.message_id or (came and "mailserver-api" not in came[0]):
        return way
    try:
        steps = _journal(server, way.id)
    except (Refused, ValueError, LookupError):
        return way
    return replace(way, steps=tuple(sorted((*way.steps, *steps), key=lambda step: step.at)))


def _journal(server: "Runtime", queue_id: str) -> "list[Step]":
    from datetime import UTC, datetime

    from mailctl.core.mail_log import ACCEPTED, REFUSED, Step
    from mailctl.core.runtime import as_json

    rows = as_json(server.inside("mailserver-api", [*_JOURNAL, queue_id]))
    return [
        Step(
            datetime.fromtimestamp(at, UTC),
            "mailserver-api",
            ACCEPTED if verdict == ACCEPTED else REFUSED,
            f"{verdict}, as its journal remembers: {code} {text}",
            queue_id,
        )
        for verdict, code, text, at in rows
    ]


def _unknown(name: str, begins: "dict[str, object]") -> Exception:
    """How far the logs reach: those of a container go when it is recreated."""
    from mailctl.core.errors import Problem, Refused

    reach = ", ".join(f"{service} from {str(at)[:16]}" for service, at in sorted(begins.items()))
    fix = "look further back with --since; write the id or address whole; make queue lists what waits"
    wrong = f"is in no log that was searched ({reach or 'there was none'})"
    return Refused(Problem("ID", wrong, fix, value=name))
