"""`mailctl status`: every service's state and version, the queue and the last mails, disks, backups,
certificates, secrets, and where git and what runs have come apart. Work is imported when it runs."""

import time
from contextlib import suppress
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mailctl.core.context import Context, JsonOption, RepoOption, command
from mailctl.core.stack import LocalOption

if TYPE_CHECKING:
    from mailctl.core.runtime import Runtime

SECONDS = 5.0


def status(
    seconds: Annotated[float | None, typer.Argument(min=1, help="Of --watch: how often; default 5.")] = None,
    watch: Annotated[bool, typer.Option("--watch", "-w", help="Show it again and again.")] = False,
    local: LocalOption = False,
    repo: RepoOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show the overall health, and what to do; exit 1 if something is wrong."""
    from mailctl.core.errors import Misuse, Problem
    from mailctl.core.stack import runtime, stack

    with command(repo, as_json) as outer:
        if seconds and not watch:
            raise Misuse(Problem("SECONDS", "belongs to --watch", "add --watch", value=f"{seconds:g}"))
        if watch and as_json:
            raise Misuse(Problem("--watch", "is for people", "call it with --json as often as you like"))
        with runtime(outer, local) as server:
            context = stack(outer, local)
            if watch:
                _watch(context, server, local, seconds or SECONDS)
            else:
                _once(context, server, local)


def _once(context: Context, server: "Runtime", local: bool) -> None:
    from mailctl.status.report import report
    from mailctl.status.show import renderables

    found = report(context, server, local)
    if not context.out.as_json:
        context.out.show(*renderables(found, context.out.console.width, local))
    context.finish(found.as_dict())


def _watch(context: Context, server: "Runtime", local: bool, seconds: float) -> None:
    """Draw it over and over, on a terminal in one place, until Ctrl-C; what fails meanwhile is shown."""
    from rich.console import Group
    from rich.live import Live

    from mailctl.status.show import stamp

    console = context.out.console
    with (
        suppress(KeyboardInterrupt),
        Live(console=console, auto_refresh=False, screen=console.is_terminal) as live,
    ):
        while True:
            live.update(Group(stamp(seconds), *_drawn(context, server, local)), refresh=True)
            time.sleep(seconds)


def _drawn(context: Context, server: "Runtime", local: bool) -> list[Any]:
    from docker.errors import DockerException
    from requests.exceptions import RequestException

    from mailctl.core.errors import Refused
    from mailctl.status.report import report
    from mailctl.status.show import renderables

    try:
        return renderables(report(context, server, local), context.out.console.width, local)
    except (Refused, DockerException, RequestException, OSError) as error:
        return [f"not known now: {error}"]
