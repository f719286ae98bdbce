"""Which folders of mail are due."""

import json
from pathlib import Path

from mailctl.core.containers import output, running
from mailctl.core.context import Context
from mailctl.core.errors import Problem, Refused
from mailctl.core.homes import is_home, is_there


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
    return [home for home in homes if is_there(root, home)]
