"""`mailctl monitor`: one look at everything that could stop mail. Work is imported when it runs."""

from typing import Annotated

import typer

from mailctl.core.context import JsonOption, RepoOption, command
from mailctl.core.stack import LocalOption


def monitor(
    serve: Annotated[
        int | None,
        typer.Option(
            "--serve", metavar="PORT", min=1, max=65535, help="Give the figures on 127.0.0.1 instead."
        ),
    ] = None,
    local: LocalOption = False,
    repo: RepoOption = None,
    as_json: JsonOption = False,
) -> None:
    """Look once, and send what is due; a timer does so each minute. Exit 0 also when something is wrong."""
    with command(repo, as_json) as context:
        from mailctl.core.monitoring import folder, read
        from mailctl.core.stack import stack

        if serve:
            from mailctl.monitor.serve import server

            with server(folder(stack(context, local)) / "metrics.prom", serve) as running:
                running.serve_forever()
        from mailctl.monitor.run import MEMORY, once

        state = once(context, local)
        for one in state["incidents"]:
            context.out.row(one["severity"], f"{one['id']}: {one['title']}: {one['text']}")
        if not state["incidents"]:
            context.out.show("No open incident.")
        if problem := read(stack(context, local), MEMORY).get("told", {}).get("problem"):
            context.out.row("overview", f"usermgmt could not be told: {problem}")
        context.out.document({"ok": True, **state})
