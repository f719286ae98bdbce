"""`mailctl canaries`: try the mail server through its whole path. Work is imported when it runs."""

from typing import Annotated

import typer

from mailctl.core.context import JsonOption, RepoOption, command

LimitOption = Annotated[
    float | None,
    typer.Option(
        "--limit", help="Try each for so many seconds.", show_default="CANARY_SECONDS, or 60", min=1
    ),
]


def run(limit: LimitOption = None, repo: RepoOption = None, as_json: JsonOption = False) -> None:
    """Send mails and log-ins through the whole path, and ask for both sites."""
    from mailctl import canaries

    with command(repo, as_json) as context:

        def tell(canary: canaries.Canary) -> None:
            mark = "ok" if canary.ok else "failed"
            context.out.row(mark, f"{canary.name}: {canary.detail} ({canary.seconds:.1f} s)", 6)

        found = canaries.run(context, progress=tell, limit=limit)
        ok = all(canary.ok for canary in found)
        context.out.document({"ok": ok, "canaries": [canary.as_dict() for canary in found]})
        if not ok:
            raise typer.Exit(1)
