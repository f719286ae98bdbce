"""What the database says of shards and moves, through usermgmt, and plans for many mailboxes."""

from collections.abc import Mapping
from dataclasses import dataclass
from heapq import heapify, heapreplace
from operator import itemgetter
from typing import Any

from mailctl.core.errors import Problem, Refused
from mailctl.core.placement import ask as ask  # what the others here ask by


@dataclass(frozen=True)
class Step:
    """So many mailboxes from one shard to another."""

    source: str
    target: str
    mailboxes: int

    def as_dict(self) -> dict[str, Any]:
        """As usermgmt takes it."""
        return {"from": self.source, "to": self.target, "mailboxes": self.mailboxes}


def known(state: Mapping[str, Any], name: str) -> dict[str, Any]:
    """The shard of that name. Raises Refused."""
    for shard in state["shards"]:
        if shard["name"] == name:
            found: dict[str, Any] = shard
            return found
    raise Refused(
        Problem("shard", "is not in the database", ".venv/bin/mailctl node add on its host", value=name)
    )


def emptying(state: Mapping[str, Any], source: str) -> list[Step]:
    """What takes every mailbox of a shard to the open ones, each to the emptiest.

    Raises Refused when there is no other.
    """
    number = known(state, source)["mailboxes"]
    others = {each["name"]: each["mailboxes"] for each in state["shards"] if each["open"]}
    others.pop(source, None)
    if not others:
        raise Refused(
            Problem(
                "shard", "no other one is open", ".venv/bin/mailctl node add on another host", value=source
            )
        )
    return [Step(source, name, count) for name, count in _filled(others, number).items() if count]


def levelling(state: Mapping[str, Any]) -> list[Step]:
    """The fewest moves after which open shards differ by one mailbox at most."""
    held = {each["name"]: each["mailboxes"] for each in state["shards"] if each["open"]}
    if not held:
        return []
    share, more = divmod(sum(held.values()), len(held))
    # The fullest keep the one that does not divide.
    order = sorted(held, key=lambda name: (-held[name], name))
    wanted = {name: share + (place < more) for place, name in enumerate(order)}
    steps, lacking = [], {name: wanted[name] - held[name] for name in order if wanted[name] > held[name]}
    for source in order:
        spare = held[source] - wanted[source]
        for target in list(lacking):
            if (count := min(spare, lacking[target])) > 0:
                steps.append(Step(source, target, count))
                spare, lacking[target] = spare - count, lacking[target] - count
    return steps


def _filled(held: Mapping[str, int], number: int) -> dict[str, int]:
    """How many of `number` each gets when every one goes to the emptiest."""
    heap = [(count, name) for name, count in sorted(held.items())]
    heapify(heap)
    for _ in range(number):
        count, name = heap[0]
        heapreplace(heap, (count + 1, name))
    return {name: count - held[name] for count, name in sorted(heap, key=itemgetter(1))}
