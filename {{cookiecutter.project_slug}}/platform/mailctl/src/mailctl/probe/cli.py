"""`mailctl probe`: try the way out and back in with a real mail. Work is imported when it runs."""

from typing import Annotated

import typer

from mailctl.core.context import JsonOption, RepoOption, command
from mailctl.core.stack import LocalOption

LimitOption = Annotated[float, typer.Option("--limit", min=1, help="Wait so many seconds for the mail.")]
RetryOption = Annotated[
    bool, typer.Option("--retry", help="Afterwards send one that is deferred once: is it tried again?")
]


def run(
    limit: LimitOption = 300.0,
    retry: RetryOption = False,
    local: LocalOption = False,
    repo: RepoOption = None,
    as_json: JsonOption = False,
) -> None:
    """Send a mail through the relay to this server, wait for it, and judge it as a receiver does."""
    from mailctl.core.stack import runtime, stack
    from mailctl.probe.run import probe
    from mailctl.probe.show import show

    with command(repo, as_json) as outer, runtime(outer, local) as server:
        context = stack(outer, local)
        result = probe(context, server, limit, retry)
        show(context.out, result)
        context.finish(result.as_dict())
