"""Which folders of mail are due, and how one is removed: nothing outside the mailboxes, through no link."""

import json
import os
import shutil
from pathlib import Path

from mailctl.core.containers import output, running
from mailctl.core.context import Context
from mailctl.core.errors import Problem, Refused


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
        if not _is_home(home):
            wrong = "is no folder of a mailbox; nothing was removed"
            raise Refused(Problem("usermgmt purge", wrong, "look into the audit log", value=str(home)))
    return [home for home in homes if _is_there(root, home)]


def _is_home(home: object) -> bool:
    """Whether it is domain/name, two plain names."""
    parts = home.split("/") if isinstance(home, str) and "\0" not in home else []
    return len(parts) == 2 and all(part not in ("", ".", "..") for part in parts)


def _is_there(root: Path, home: str) -> bool:
    """Whether it is a folder that no symbolic link leads to: Dovecot's user could have made one."""
    domain = root / home.partition("/")[0]
    return (root / home).is_dir() and not domain.is_symlink() and not (root / home).is_symlink()


def remove(root: Path, home: str) -> None:
    """Remove a folder with all that it holds. Interrupted, it is still there, and due, the next night."""
    domain, name = home.split("/")
    inside = os.open(root / domain, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        # What is inside is reached by descriptors: a link that appears meanwhile leads nowhere.
        shutil.rmtree(name, dir_fd=inside)
    finally:
        os.close(inside)
