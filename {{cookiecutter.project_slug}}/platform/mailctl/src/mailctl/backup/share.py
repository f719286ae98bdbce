"""What of several hosts each saves: its mailboxes, and what else only it has or every manager has."""

from typing import Any

from mailctl.core import hosts, placement
from mailctl.core.containers import all_of
from mailctl.core.context import Context
from mailctl.core.errors import Problem, Refused
from mailctl.core.folders import hdd
from mailctl.core.second_copy import volumes

#: Of each host with a member of the database, which is a manager: a drill there needs no other host's.
MANAGERS = ("mysql", "config", "ssl", "learned")
#: Its files are on the host of this member (docker-compose.yml).
GROUPWARE_MEMBER = "1"


def components(context: Context) -> set[str] | None:
    """The components of this host; None: it is the only one. Raises Refused: it has nothing to save."""
    row = hosts.here(context)
    if row is None:
        return None
    found = {"mail"} if row.get("shard") else set()
    if row.get("database"):
        found |= {*MANAGERS, *(("groupware",) if str(row["database"]) == GROUPWARE_MEMBER else ())}
    if not found:
        wrong = "has neither mailboxes nor a member of the database: there is nothing to save on it"
        fix = f"switch its timer off: systemctl disable --now {context.project_name}-backup.timer"
        raise Refused(Problem("backup", wrong, fix, value=row["name"]))
    return found | ({"dkim"} if "rspamd" in all_of(context) else set())


def homes(context: Context) -> dict[str, str] | None:
    """Below `mailboxes`, the folder of each mailbox of this host by domain/name; None on a server of one."""
    held = placement.held(context)
    return held and {home: f"{volume}/{home}" for home, volume in sorted(held.homes.items())}


def described(context: Context) -> dict[str, Any]:
    """What the manifest says of it; nothing on a server of one."""
    row = hosts.here(context)
    if row is None:
        return {}
    shard = row.get("shard")
    return {"share": {"host": row["name"], "shard": shard, "volumes": volumes(hdd(context)) if shard else []}}
