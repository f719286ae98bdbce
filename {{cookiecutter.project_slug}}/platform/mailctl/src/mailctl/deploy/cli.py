"""`mailctl rollback`, `history` and `preflight`, and what `mailctl deploy` has the commit's own mailctl do.

The work is imported when a command runs.
"""

import json
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mailctl.core.context import Context, JsonOption, RepoOption, command
from mailctl.core.errors import Refused

if TYPE_CHECKING:
    from mailctl.deploy.host import Host

ToOption = Annotated[str, typer.Option("--to", help="The commit to go back to; default: the one before.")]
BACKUP_WAIT_SECONDS = 600


def carry_out(
    commit: Annotated[str, typer.Argument(help="The whole name of a commit.")],
    result: Annotated[Path | None, typer.Option("--result", help="Where its result is written.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what would be recreated.")] = False,
    undo: Annotated[str, typer.Option("--undo", help="Why it is not deployed, but taken back.")] = "",
    repo: RepoOption = None,
    as_json: JsonOption = False,
) -> None:
    """What the agent calls: the version of the commit to deploy it, or the last good one to undo that."""
    with command(repo, as_json) as context:
        try:
            with _host(context) as host:
                from mailctl.deploy import work

                if dry_run:
                    work.show_plan(host, commit)
                    return
                with _alone(host, "mailctl deploy"):
                    document = work.undo(host, commit, undo) if undo else work.deploy(host, commit)
        except Refused as refusal:
            _leave(result, {"ok": False, "problems": [one.as_dict() for one in refusal.problems]})
            raise
        _leave(result, document)
        _finish(context, document)


def rollback(to: ToOption = "", repo: RepoOption = None, as_json: JsonOption = False) -> None:
    """Go back to an earlier deployment: its commit, with the images that it ran."""
    with command(repo, as_json) as context, _host(context) as host:
        from mailctl.deploy import work

        with _alone(host, "mailctl rollback"):
            _finish(context, work.rollback(host, to))


def history(repo: RepoOption = None, as_json: JsonOption = False) -> None:
    """Show the deployments of this host, the newest first, and which of them one can go back to."""
    from mailctl.deploy.shared import records_of
    from mailctl.deploy.work import show_history

    with command(repo, as_json) as context:
        show_history(context, records_of(context))


def preflight(repo: RepoOption = None, as_json: JsonOption = False) -> None:
    """The check list before a deployment; exit 1 if a line fails."""
    with command(repo, as_json) as context, _host(context) as host:
        from mailctl.deploy import work

        if not work.show_preflight(host):
            raise typer.Exit(1)


@contextmanager
def _host(context: Context) -> "Iterator[Host]":
    """All that a deployment works with, imported now: the files of mailctl are about to change."""
    from mailctl import canaries
    from mailctl.core.engine import connected
    from mailctl.core.runtime import Runtime
    from mailctl.core.schema import Schema
    from mailctl.deploy import checks
    from mailctl.deploy.host import Host
    from mailctl.deploy.shared import records_of
    from mailctl.deploy.tree import Tree

    checks.checkers()
    store = records_of(context)
    with connected() as engine:
        runtime = Runtime(context, engine)
        yield Host(
            context,
            runtime,
            Tree(context.repo, store.stage),
            store,
            Schema(context, runtime, store.folder),
            lambda past: canaries.run(context, runtime=runtime, past=past),
            lambda: canaries.remember(context, runtime),
        )


@contextmanager
def _alone(host: "Host", what: str) -> Iterator[None]:
    """No other deployment, and no backup or restore, which a recreated container would disturb."""
    from mailctl.core.errors import Problem
    from mailctl.core.lock import exclusive, holder, turn
    from mailctl.deploy.run import backup_lock

    with host.records.locked(what), ExitStack() as held:
        path, end = backup_lock(host), time.monotonic() + BACKUP_WAIT_SECONDS
        while (who := holder(path)).startswith(("mailctl backup", "mailctl restore")):
            if time.monotonic() > end:
                raise Refused(Problem("backup lock", f"{who} is still at work", "wait until it is done"))
            time.sleep(1)
        if path.parent.is_dir() and not who:
            held.enter_context(turn(path.parent))
            held.enter_context(exclusive(path, "backup lock", what, "changing this host"))
        yield


def _leave(result: Path | None, document: dict[str, Any]) -> None:
    if result:
        result.write_text(json.dumps(document) + "\n", "utf-8")


def _finish(context: Context, document: dict[str, Any]) -> None:
    from mailctl.deploy.work import show_result

    show_result(context, document)
    if not document["ok"]:
        raise typer.Exit(1)
