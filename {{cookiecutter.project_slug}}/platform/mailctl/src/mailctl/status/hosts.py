"""The hosts of several: what each is, what runs there, and what it last said of itself."""

import time
from collections import Counter
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from mailctl.core import hosts, placement
from mailctl.core.context import Context
from mailctl.core.errors import Refused
from mailctl.core.format import duration

if TYPE_CHECKING:
    from rich.table import Table

#: Each host's monitor speaks every five minutes; what is older says nothing about now.
FRESH_SECONDS = 900
NOT_TOLD = "?"


@dataclass(frozen=True)
class Host:
    """A host of nodes.yml. What only a manager knows is "?" or None elsewhere.

    `member` says how the member of the database is; `copy_seconds`, since when its mailboxes are on it alone.
    """

    name: str
    state: str
    role: str
    member: str
    shard: str
    copy_seconds: int | None
    tasks: int | None

    @property
    def ok(self) -> bool:
        return self.state in ("ready", NOT_TOLD)

    def as_dict(self) -> dict[str, Any]:
        return {"ok": self.ok, **asdict(self)}


def listed(context: Context) -> list[Host]:
    """All of them; none on a server of one. Raises Refused: nodes.yml cannot be read."""
    if not hosts.several(context):
        return []
    nodes, tasks, now = *_of_the_swarm(context), time.time()
    said = {name: one for name, one in _told(context).items() if now - one["at"] < FRESH_SECONDS}
    return [_host(row, nodes, tasks, said.get(row["name"]) or {}, now) for row in hosts.rows(context)]


def _host(
    row: dict[str, Any],
    nodes: dict[str, dict[str, Any]],
    tasks: Counter[str] | None,
    said: dict[str, Any],
    now: float,
) -> Host:
    name, node = row["name"], nodes.get(row["name"]) or {}
    role = "leader" if node.get("leader") else "manager" if row.get("database") else "worker"
    member = f"{row['database']} {said.get('member') or NOT_TOLD}" if row.get("database") else ""
    age = int(now - said["copied_at"]) if said.get("copied_at") else None
    state = str(node.get("state") or ("not in the Swarm" if nodes else NOT_TOLD))
    return Host(name, state, role, member, str(row.get("shard") or ""), age, tasks and tasks[name])


def _of_the_swarm(context: Context) -> tuple[dict[str, dict[str, Any]], Counter[str] | None]:
    """What a manager says: the hosts by name, and how many tasks run on each; nothing elsewhere."""
    from mailctl.swarm import status

    try:
        nodes = status.nodes()
        ready = {each["id"]: each["name"] for each in nodes if each["state"] == "ready"}
        services = status.services(context.project_name, ready)
    except Refused:
        return {}, None
    return {each["name"]: each for each in nodes}, Counter(name for one in services for name in one["hosts"])


def _told(context: Context) -> dict[str, dict[str, Any]]:
    try:
        found: dict[str, dict[str, Any]] = placement.ask(context, hosts=True)["hosts"]
    except (Refused, OSError, ValueError):
        return {}
    return found


def table(found: list[Host]) -> "Table":
    """For people, in 80 columns."""
    from rich import box
    from rich.table import Table

    made = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), show_edge=False, pad_edge=False)
    for name in ("host", "state", "role", "member", "shard", "copy", "tasks"):
        made.add_column(name, justify="right" if name in ("copy", "tasks") else "left", overflow="fold")
    for one in found:
        copy = duration(one.copy_seconds) if one.copy_seconds is not None else NOT_TOLD if one.shard else ""
        tasks = NOT_TOLD if one.tasks is None else str(one.tasks)
        cells = (one.name, one.state, one.role, one.member, one.shard, copy, tasks)
        made.add_row(*cells, style="" if one.ok else "red")
    return made
