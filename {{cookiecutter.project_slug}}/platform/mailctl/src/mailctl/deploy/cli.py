"""`mailctl deploy`, `rollback`, `history` and `preflight`. The work is imported when a command runs."""

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mailctl.core.context import Context, JsonOption, RepoOption, command

if TYPE_CHECKING:
    from mailctl.deploy.host import Host

RefOption = Annotated[str, typer.Option("--ref", help="The commit that shall run; default: HEAD.")]
PullOption = Annotated[bool, typer.Option("--pull", help="Fetch the branch, and deploy its newest commit.")]
DryRunOption = Annotated[
    bool, typer.Option("--dry-run", help="Only show what would be recreated, and for how long it is down.")
]
ToOption = Annotated[str, typer.Option("--to", help="The commit to go back to; default: the one before.")]
BACKUP_WAIT_SECONDS = 600


def deploy(
    ref: RefOption = "HEAD",
    pull: PullOption = False,
    dry_run: DryRunOption = False,
    repo: RepoOption = None,
    as_json: JsonOption = False,
) -> None:
    """Deploy a commit, tried by canaries; roll back to what ran before if anything goes wrong."""
    with command(repo, as_json) as context, _host(context) as host:
        from mailctl.deploy import work

        if dry_run:
            work.show_plan(host, work.chosen(host, ref, pull))
            return
        with _alone(host, "mailctl deploy"):
            _finish(context, work.deploy(host, ref, pull))


def rollback(to: ToOption = "", repo: RepoOption = None, as_json: JsonOption = False) -> None:
    """Go back to an earlier deployment: its commit, with the images that it ran."""
    with command(repo, as_json) as context, _host(context) as host:
        from mailctl.deploy import work

        with _alone(host, "mailctl rollback"):
            _finish(context, work.rollback(host, to))


def history(repo: RepoOption = None, as_json: JsonOption = False) -> None:
    """Show the deployments of this host, the newest first, and which of them one can go back to."""
    from mailctl.deploy.records import Records
    from mailctl.deploy.work import show_history

    with command(repo, as_json) as context:
        show_history(context, Records.of(context))


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
    from mailctl.deploy import checks
    from mailctl.deploy.host import Host
    from mailctl.deploy.records import Records
    from mailctl.deploy.schema import Schema
    from mailctl.deploy.tree import Tree

    checks.checkers()
    store = Records.of(context)
    with connected() as engine:
        runtime = Runtime(context, engine)
        yield Host(
            context,
            runtime,
            Tree(context.repo, store.stage),
            store,
            Schema(context, runtime, store.folder),
            lambda: canaries.run(context, runtime=runtime),
        )


@contextmanager
def _alone(host: "Host", what: str) -> Iterator[None]:
    """No other deployment, and no backup or restore, which a recreated container would disturb."""
    from mailctl.core.errors import Problem, Refused
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


def _finish(context: Context, document: dict[str, Any]) -> None:
    from mailctl.deploy.work import show_result

    show_result(context, document)
    if not document["ok"]:
        raise typer.Exit(1)
