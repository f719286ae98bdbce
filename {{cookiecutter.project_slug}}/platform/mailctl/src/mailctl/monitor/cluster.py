"""Conditions of several hosts. The Swarm's leader says what is true of all; each host speaks of itself."""

from collections.abc import Iterator
from typing import Any

from mailctl.core import hosts, members, placement, second_copy
from mailctl.core.errors import Refused
from mailctl.core.format import duration, plain
from mailctl.core.monitoring import read
from mailctl.monitor.facts import Facts, Finding
from mailctl.swarm import status

RESTARTS = 3
#: `mailctl swarm check` is run by a timer every night.
CHECK_SECONDS = 36 * 3600


def leads(facts: Facts) -> bool:
    """Whether this host speaks for all: the leader of several, or the only one. Raises Refused."""
    return not hosts.several(facts.context) or bool(_me(facts)["leads"])


def _me(facts: Facts) -> dict[str, Any]:
    return facts.once("swarm", status.me)


def _nodes(facts: Facts) -> list[dict[str, Any]]:
    return facts.once("nodes", status.nodes)


def _services(facts: Facts) -> list[dict[str, Any]]:
    ready = {each["id"]: each["name"] for each in _nodes(facts) if each["state"] == "ready"}
    return facts.once("services", lambda: status.services(facts.context.project_name, ready))


def _member(facts: Facts) -> members.Member | None:
    return facts.once("member", lambda: members.local(facts.context))


def _risk(facts: Facts) -> dict[str, float | None]:
    """For each volume of this host the seconds that no other one has; None: all of it."""
    held = placement.shard(facts.context) is not None
    return facts.once("risk", lambda: second_copy.at_risk(facts.context, facts.now) if held else {})


def down(facts: Facts) -> Iterator[Finding]:
    """Hosts that the leader does not hear of."""
    for each in _nodes(facts) if hosts.several(facts.context) else ():
        if each["state"] != "ready":
            yield Finding(f"{each['name']} is {each['state']}", each["name"])


def majority(facts: Facts) -> Iterator[Finding]:
    """Then there is no leader: each manager that is left says so."""
    if hosts.several(facts.context) and _me(facts)["manager"] and _me(facts)["error"]:
        yield Finding(plain(_me(facts)["error"])[:300])


def replicas(facts: Facts) -> Iterator[Finding]:
    """Services with fewer tasks than asked for; what is pinned to a host that is down is that host's."""
    if not hosts.several(facts.context):
        return
    gone = {each["name"] for each in _nodes(facts) if each["state"] != "ready"}
    pinned = hosts.homes(facts.context)
    for each in _services(facts):
        if each["running"] < each["wanted"] and pinned.get(each["name"]) not in gone:
            why = f": {plain(each['why'])[:200]}" if each["why"] else ""
            yield Finding(f"{each['name']}: {each['running']} of {each['wanted']} run{why}", each["name"])


def restarts(facts: Facts) -> Iterator[Finding]:
    """A task that fails is replaced, so that the service may look whole at any moment."""
    for each in _services(facts) if hosts.several(facts.context) else ():
        if each["failed"] >= RESTARTS:
            minutes = duration(status.FAILED_SECONDS)
            yield Finding(f"{each['name']}: {each['failed']} tasks failed within {minutes}", each["name"])


def member(facts: Facts) -> Iterator[Finding]:
    """Whether the member of this host is in the database; one that does not run is said to be down above."""
    found = _member(facts)
    if found is not None and found.container and not found.inside:
        yield Finding(f"{found.name} is {found.state}, not in the database")


def copies(facts: Facts) -> Iterator[Finding]:
    """What of this host's mailboxes no other host has for longer than the timer needs."""
    for name, seconds in _risk(facts).items():
        since = facts.now - facts.memory["began"] if seconds is None else seconds
        if since > second_copy.LATE_SECONDS:
            what = "all of volume" if seconds is None else f"the last {duration(seconds)} of volume"
            yield Finding(f"{what} {name} are on this host alone", name)


def told(facts: Facts) -> dict[str, Any]:
    """What `mailctl status` of the other hosts shows of this one; times in epoch seconds."""
    row = hosts.here(facts.context) or {}
    found, risk = _member(facts), _risk(facts).values()
    copied = None if None in risk or not risk else facts.now - max(filter(None, risk), default=0.0)
    return {"name": row["name"], "member": found.state if found else "", "copied_at": copied}


def checked(facts: Facts) -> Iterator[Finding]:
    """What `mailctl swarm check` found on this host."""
    if not hosts.several(facts.context):
        return
    found = read(facts.context, status.CHECK)
    age = facts.now - float(found["at"] if found else facts.memory["began"])
    if age > CHECK_SECONDS:
        yield Finding(f"the last check is {duration(age)} old" if found else "it was never checked", "old")
    for name, told in (found or {}).get("differing", {}).items():
        yield Finding(plain(f"{name}: {'; '.join(told)}")[:500], name)


def concerns(facts: Facts, whole: bool) -> bool:
    """Whether this host is the one to say it; when nobody can tell who leads, it is."""
    try:
        return not whole or leads(facts)
    except Refused:
        return True
