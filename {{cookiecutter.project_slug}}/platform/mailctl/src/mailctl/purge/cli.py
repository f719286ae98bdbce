"""`mailctl purge`, every night. The work is imported when the command runs."""

from mailctl.core.context import JsonOption, RepoOption, command
from mailctl.core.folders import hdd
from mailctl.core.stack import LocalOption, stack


def run(local: LocalOption = False, repo: RepoOption = None, as_json: JsonOption = False) -> None:
    """Remove accounts that were deleted over 30 days ago, with their mail, and again who was erased before.

    Snapshots still have it.
    """
    from mailctl.accounts.api import Api
    from mailctl.core.disk_locks import exclusive
    from mailctl.core.homes import remove
    from mailctl.core.stack import runtime
    from mailctl.person.erase import again
    from mailctl.purge.folders import due, left_by_moves

    with command(repo, as_json) as outer:
        context = stack(outer, local)
        with exclusive(context, "mailctl purge"):
            root = hdd(context) / "mailboxes"
            homes = [*due(context, root), *left_by_moves(context, root)]
            for home in homes:
                remove(root, home)
                context.out.row("removed", home, 12)
            with runtime(context) as server:
                back = again(context, Api(server))
        for address in back:
            context.out.row("erased again", f"{address}: a restore had brought it back", 12)
        if not homes:
            context.out.show("No mail is left of a mailbox that was deleted over 30 days ago.")
        context.finish({"ok": True, "homes": homes, "erased_again": back})
