"""`mailctl logs`: what the services said, by time. Work is imported when the command runs."""

import json
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from mailctl.core.context import Context, JsonOption, RepoOption, command
from mailctl.core.stack import LocalOption

if TYPE_CHECKING:
    from mailctl.core.log_lines import LogLine
    from mailctl.core.runtime import Runtime


def logs(
    services: Annotated[list[str] | None, typer.Argument(metavar="SERVICE", help="Default: all.")] = None,
    since: Annotated[str, typer.Option("--since", help="All since then: 30m, 6h, 7d, or a time.")] = "",
    lines: Annotated[
        int, typer.Option("--lines", "-n", min=1, help="So many of each, without --since.")
    ] = 50,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until Ctrl-C.")] = False,
    local: LocalOption = False,
    repo: RepoOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show what the services said, in one order; with --follow, --json is one document a line."""
    from mailctl.core.errors import Misuse, Problem
    from mailctl.core.format import moment
    from mailctl.core.stack import runtime

    with command(repo, as_json) as context, runtime(context, local) as server:
        begin = moment("--since", since) if since else 0.0
        running = server.running()
        if unknown := [name for name in services or () if name not in running]:
            fix = f"one of: {', '.join(running) or 'none runs; make status'}"
            raise Misuse(*(Problem("SERVICE", "has no container", fix, value=name) for name in unknown))
        names = services or list(running)
        if follow:
            _follow(context, server, names, lines)
            return
        found = server.lines(names, begin, 0 if since else lines)
        for line in found:
            _show(context, line, names)
        context.finish({"ok": True, "lines": [_document(line) for line in found]})


def _follow(context: Context, server: "Runtime", names: list[str], tail: int) -> None:
    """Until all of the containers have ended, or somebody presses Ctrl-C."""
    import queue
    import threading
    from contextlib import suppress

    from mailctl.core.log_lines import follow

    came: queue.SimpleQueue[LogLine | str] = queue.SimpleQueue()

    def read(name: str) -> None:
        try:
            for line in follow(server.engine, server.running()[name], tail):
                came.put(line)
        finally:
            came.put(name)

    for name in names:
        threading.Thread(target=read, args=(name,), daemon=True).start()
    left = {*names}
    with suppress(KeyboardInterrupt):
        while left:
            line = came.get()
            if isinstance(line, str):
                left.discard(line)
            elif context.out.as_json:
                sys.stdout.write(json.dumps({"ok": True, **_document(line)}, ensure_ascii=False) + "\n")
                sys.stdout.flush()
            else:
                _show(context, line, names)


def _show(context: Context, line: "LogLine", names: list[str]) -> None:
    from rich.text import Text

    from mailctl.core.format import clock, service_style

    if context.out.as_json:
        return
    width = max(map(len, names))
    day = line.at.astimezone().strftime("%d %b ")
    name = (f"{line.service:{width}}", service_style(line.service))
    context.out.lines([Text.assemble((f"{day}{clock(line.at)[:8]}", "dim"), " ", name, " ", line.bare)])


def _document(line: "LogLine") -> dict[str, str]:
    return {"at": line.at.isoformat(), "service": line.service, "text": line.text}
