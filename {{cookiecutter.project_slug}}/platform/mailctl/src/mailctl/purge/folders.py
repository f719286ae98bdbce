"""Which folders of mail are due."""

import json
from pathlib import Path

from mailctl.core import placement
from mailctl.core.containers import output, running
from mailctl.core.context import Context
from mailctl.core.errors import Problem, Refused
from mailctl.core.homes import every, is_empty, is_home, places


def due(context: Context, root: Path) -> list[str]:
    """The folders below `root` that usermgmt names and that are still there. It removes expired accounts.

    Raises Refused: usermgmt does not run, says nothing readable, or names what is no folder of a mailbox.
    """
    said = output(running(context, "usermgmt"), "usermgmt", "purge", "--json")
    try:
        homes = json.loads(said)["homes"]
    except (ValueError, KeyError, TypeError):
        raise Refused(Problem("usermgmt purge", "printed no list of folders", "make logs")) from None
    for home in homes:
        if not is_home(home):
            wrong = "is no folder of a mailbox; nothing was removed"
            raise Refused(Problem("usermgmt purge", wrong, "look into the audit log", value=str(home)))
    return [place for home in homes for place in places(root, home)]


def left_by_moves(context: Context, root: Path) -> list[str]:
    """Of several hosts: folders of mailboxes that are elsewhere, which a move has emptied. Raises Refused."""
    if placement.shard(context) is None:
        return []
    # In this order: a mailbox that is made meanwhile is in neither.
    there = list(every(root))
    if (held := placement.held(context)) is None:
        return []
    # A volume that nobody is served from may be one that `mailctl node fail` is about to serve.
    used = {held.shard, *(volume.partition("/")[0] for volume in held.homes.values())}
    return [
        place
        for place, home in there
        if place.partition("/")[0] in used
        and place != f"{held.homes.get(home)}/{home}"
        and home not in held.moving
        and is_empty(root / place)
    ]
