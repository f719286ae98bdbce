"""`mailctl purge`, every night. The work is imported when the command runs."""

from mailctl.core.context import JsonOption, RepoOption, command
from mailctl.core.folders import hdd
from mailctl.core.stack import LocalOption, stack


def run(local: LocalOption = False, repo: RepoOption = None, as_json: JsonOption = False) -> None:
    """Remove accounts that were deleted over 30 days ago, with their mail. Snapshots still have it."""
    from mailctl.backup.lock import exclusive
    from mailctl.purge.folders import due, remove

    with command(repo, as_json) as outer:
        context = stack(outer, local)
        with exclusive(context, "mailctl purge"):
            root = hdd(context) / "mailboxes"
            homes = due(context, root)
            for home in homes:
                remove(root, home)
                context.out.row("removed", home, 12)
        if not homes:
            context.out.show("No mail is left of a mailbox that was deleted over 30 days ago.")
        context.finish({"ok": True, "homes": homes})
