"""Where mailboxes are, of several hosts: usermgmt knows, which has a task on each. On one all are here."""

import json
from dataclasses import dataclass
from typing import Any

from mailctl.core.containers import output, running
from mailctl.core.context import Context
from mailctl.core.errors import Problem, Refused
from mailctl.core.folders import hdd
from mailctl.core.hosts import several
from mailctl.core.second_copy import SERVED

SERVICE, MARK = "usermgmt", ".shard"


@dataclass(frozen=True)
class Held:
    """What this host keeps: its shard, and below `mailboxes` the folder of each mailbox by domain/name.

    `moving` are those of which it has a part as well, as the source or the target of a move.
    """

    shard: str
    homes: dict[str, str]
    moving: frozenset[str] = frozenset()


def ask(context: Context, **wanted: Any) -> dict[str, Any]:
    """Tell usermgmt what is wanted, all or nothing; how shards and moves then are. Raises Refused."""
    said = json.dumps(wanted).encode() if wanted else b""
    words = (SERVICE, "shards")
    found: dict[str, Any] = json.loads(output(running(context, SERVICE), *words, stdin=said))
    return found


def shard(context: Context) -> str | None:
    """The shard that this host's disk holds; None where it holds none, and on a server of one host."""
    if not several(context):
        return None
    try:
        return (hdd(context) / SERVED / MARK).read_text("utf-8").strip() or None
    except FileNotFoundError:
        return None


def held(context: Context) -> Held | None:
    """What this host keeps of several; None: it is the only one. Raises Refused: it keeps no mailboxes."""
    if not several(context):
        return None
    if (here := shard(context)) is None:
        raise Refused(
            Problem("shard", "this host has none: it keeps no mailboxes", ".venv/bin/mailctl node list")
        )
    found = ask(context, homes=here)["homes"]
    return Held(here, found["served"], frozenset(found["moving"]))


def refuse_elsewhere(context: Context, address: str) -> None:
    """Raises Refused, with the name of the host that has it, when a mailbox is not on this one."""
    if not several(context):
        return
    found = ask(context, find=address)["found"]
    if found and found["shard"] != shard(context):
        wrong = f"its mailbox is on {found['node']} (shard {found['shard']}), not on this host"
        raise Refused(Problem(address, wrong, f"run the same command on {found['node']}"))
