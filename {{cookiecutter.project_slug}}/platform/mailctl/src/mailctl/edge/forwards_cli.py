"""`mailctl edge forwards`: the addresses outside that mail goes to. The work is imported when it runs."""

import typer

from mailctl.core.context import JsonOption, RepoOption, command
from mailctl.core.stack import LocalOption


def run(local: LocalOption = False, repo: RepoOption = None, as_json: JsonOption = False) -> None:
    """Have Cloudflare ask the addresses outside that people and aliases forward to, and show how each stands.

    Those that were brought there for this and that nobody needs any more are deleted. The monitor does it
    every five minutes.
    """
    from mailctl.core.stack import runtime
    from mailctl.edge.forwards import WAITING, bring

    with command(repo, as_json) as context, runtime(context, local) as server:
        result = bring(context, server)
        for address, state in sorted(result.states.items()):
            waits = "waits: its owner must confirm the mail that Cloudflare sent"
            context.out.row(address, waits if state == WAITING else state)
        for address in result.deleted:
            context.out.row(address, "deleted at Cloudflare: nobody forwards there any more")
        for problem in result.problems:
            context.out.warn(f"{problem.field}: {problem.wrong}; {problem.fix}")
        if not result.states:
            context.out.row("forwards", "nobody forwards outside this server")
        problems = [{"field": each.field, "wrong": each.wrong, "fix": each.fix} for each in result.problems]
        document = {
            "ok": not problems,
            "states": result.states,
            "asked": result.asked,
            "deleted": result.deleted,
            "refused": problems,
        }
        context.out.document(document)
    raise typer.Exit(1 if problems else 0)
