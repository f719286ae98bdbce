"""`mailctl drill`: is every mail of the latest snapshots readable? Tried beside the running stack."""

from typing import Annotated

import typer

from mailctl.core.context import JsonOption, RepoOption, command
from mailctl.core.stack import LocalOption, stack

LocalOnlyOption = Annotated[bool, typer.Option("--local-only", help="Only the latest snapshot of this disk.")]
S3OnlyOption = Annotated[bool, typer.Option("--s3-only", help="Only the latest snapshot on S3.")]


def run(
    local_only: LocalOnlyOption = False,
    s3_only: S3OnlyOption = False,
    local: LocalOption = False,
    repo: RepoOption = None,
    as_json: JsonOption = False,
) -> None:
    """Restore the latest snapshots into a stack beside the running one, and compare every mail over IMAP."""
    from mailctl.backup.drill.report import save, text
    from mailctl.backup.drill.run import drill, sources
    from mailctl.core.disk_locks import alone
    from mailctl.core.errors import Misuse, Problem
    from mailctl.core.job_results import record

    with command(repo, as_json) as outer:
        if local_only and s3_only:
            raise Misuse(Problem("--local-only, --s3-only", "one of them alone", "leave both out for both"))
        context = stack(outer, local)
        with alone(context, "drill"):
            results = drill(context, sources(context, local_only, s3_only))
            ok = all(one.ok for one in results)
            document = {"ok": ok, "drills": [one.as_dict() for one in results]}
            save(context, document, results)
            record(context, "drill", ok, document)
        context.out.show(text(results))
        context.out.document(document)
    raise typer.Exit(0 if ok else 1)
