"""nodes.yml: the hosts of the Swarm, and what each is for."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from mailctl.core.errors import Problem, Refused

FILE = "nodes.yml"
#: Members of the database; their hosts are the managers as well, since both need two of three.
MEMBERS = ("1", "2", "3")
DATABASE, SHARD, QUEUE = "mail.database", "mail.shard", "mail.queue"
FIX = f"correct {FILE} (docs/several-hosts.md), then run the same command again"


@dataclass(frozen=True)
class Node:
    """One host: its name for the engine, its address between hosts, its database member, its shard."""

    name: str
    address: str
    database: str | None = None
    shard: str | None = None

    @property
    def labels(self) -> dict[str, str]:
        """The engine's labels that follow; `mail.queue` is set by hand or by `mailctl node`."""
        found = {DATABASE: self.database, SHARD: self.shard}
        return {label: value for label, value in found.items() if value is not None}


@dataclass(frozen=True)
class Inventory:
    """All hosts; `encrypted` asks for an encrypted overlay, which is used only where it works."""

    nodes: tuple[Node, ...]
    encrypted: bool = False

    def members(self, kind: str) -> list[str]:
        """The members of `x-per: database` or `x-per: shard`, in order."""
        return sorted({value for node in self.nodes if (value := getattr(node, kind)) is not None})

    @property
    def managers(self) -> set[str]:
        return {node.name for node in self.nodes if node.database is not None}


def read(repo: Path) -> Inventory:
    """Read nodes.yml. Raises Refused: it is missing, no YAML, or its hosts do not make sense together."""
    try:
        found = yaml.safe_load((repo / FILE).read_text("utf-8"))
    except FileNotFoundError:
        wrong = "is missing: this repository was made for one host"
        fix = "make update ANSWER=scale=swarm (docs/several-hosts.md)"
        raise Refused(Problem(FILE, wrong, fix)) from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise Refused(Problem(FILE, f"is no YAML: {' '.join(str(error).split())}", FIX)) from None
    rows = found.get("nodes") if isinstance(found, dict) else None
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise Refused(Problem(f"{FILE}: nodes", "is no list of hosts", FIX))
    if problems := list(_problems(rows)):
        raise Refused(*problems)
    return Inventory(tuple(map(_node, rows)), bool(found.get("encrypted_overlay", False)))


def _node(row: Mapping[str, Any]) -> Node:
    database = row.get("database")
    return Node(row["name"], row["address"], None if database is None else str(database), row.get("shard"))


def _problems(rows: list[dict[str, Any]]) -> Iterator[Problem]:
    """What the schema cannot say; the gate says the same of a commit (MAIL_REP_012)."""
    for field in ("name", "address", "database", "shard"):
        seen: set[object] = set()
        for number, row in enumerate(rows):
            place, value = f"{FILE}: nodes[{number}].{field}", row.get(field)
            if value is None:
                if field in ("name", "address"):
                    yield Problem(place, "is missing", FIX)
            elif field != "database" and not (isinstance(value, str) and value):
                yield Problem(place, "is no text", FIX, value=str(value))
            elif value in seen:
                yield Problem(place, "stands twice", FIX, value=str(value))
            else:
                seen.add(value)
        if field == "database" and {str(each) for each in seen} != set(MEMBERS):
            has = ", ".join(sorted(map(str, seen))) or "none"
            yield Problem(f"{FILE}: database", f"the members are {has}, not 1, 2 and 3", FIX)
        if field == "shard" and not seen:
            yield Problem(f"{FILE}: shard", "no host has one: there is no place for mailboxes", FIX)
