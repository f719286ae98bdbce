"""Hosts that come, are emptied, fail and return: what the engine, the disk and the database are told."""

import socket
from collections.abc import Sequence
from typing import Any

from mailctl.core import hosts, members
from mailctl.core.containers import running
from mailctl.core.context import Context
from mailctl.core.errors import Problem, Refused
from mailctl.core.folders import hdd
from mailctl.swarm import copies, docker, shards
from mailctl.swarm.copies import Copy
from mailctl.swarm.inventory import FIX, QUEUE, Inventory, Node

#: Where a host that runs answers: SSH, the Swarm's managers, its gossip.
PORTS, ANSWER_SECONDS = (22, 2377, 7946), 3.0


def named(inventory: Inventory, name: str) -> Node:
    """The host of that name. Raises Refused."""
    for node in inventory.nodes:
        if node.name == name:
            return node
    there = ", ".join(node.name for node in inventory.nodes)
    raise Refused(Problem("host", f"is not in nodes.yml, which has {there}", FIX, value=name))


def shard_of(node: Node) -> str:
    """Its shard. Raises Refused: it keeps no mailboxes."""
    if node.shard is None:
        raise Refused(
            Problem("host", "has no shard in nodes.yml: it keeps no mailboxes", FIX, value=node.name)
        )
    return node.shard


def add(context: Context, inventory: Inventory, node: Node) -> tuple[list[str], list[str]]:
    """Bring a host in, as far as that can be done here: what was done, and what is left to do elsewhere."""
    engine, done, left = docker.info(), [], []
    again = f".venv/bin/mailctl node add {node.name}"
    if (engine.get("Swarm") or {}).get("ControlAvailable"):
        words = [
            word for each in {**node.labels, QUEUE: "yes"}.items() for word in ("--label-add", "=".join(each))
        ]
        docker.run("node", "update", *words, "--availability", "active", node.name)
        done.append(f"the engine may start there: {', '.join(node.labels)}, {QUEUE}")
    else:
        left.append(f"on a manager: {again}")
    if engine.get("Name") == node.name:
        done += _disks(context, inventory, node)
        if node.shard is not None:
            _open(context, node, again, done, left)
    elif node.labels:
        left.append(f"on {node.name}: {again}")
    return done, left


def _disks(context: Context, inventory: Inventory, node: Node) -> list[str]:
    """Prepare the folders of this host, for what it shall hold."""
    done = []
    if node.database is not None:
        member = f"mariadb-{node.database}"
        fresh = members.begin(context.folder("SSD_PATH", ".") / "mariadb", member)
        done.append(f"{'an empty folder for' if fresh else 'the folder is already of'} {member}")
    if node.shard is not None:
        root = hdd(context)
        fresh = copies.begin(root, node.shard)
        done.append(
            f"an empty disk for shard {node.shard}" if fresh else f"the disk has shard {node.shard} already"
        )
        done += [f"a folder for the copies of {name}" for name in copies.room(inventory, node.name, root)]
    return done


def _open(context: Context, node: Node, again: str, done: list[str], left: list[str]) -> None:
    """Let new mailboxes come here, once the store runs: people are led to it from then on."""
    try:
        running(context, hosts.store(context))
    except Refused:
        left.append(f"after the next deployment, on {node.name}: {again}, which lets mailboxes come")
        return
    shards.ask(context, set=[{"name": node.shard, "node": node.name}])
    done.append(f"shard {node.shard} takes new mailboxes")


def refuse_unless_fenced(node: Node, switched_off: bool) -> None:
    """Nobody may write to a host that is replaced. Raises Refused with each sign that it may still run.

    A host that cannot be reached from here may run all the same, cut off: only a person sees its power.
    """
    problems = []
    engine = docker.info().get("Swarm") or {}
    if engine.get("ControlAvailable"):
        state = docker.inspected("node", [node.name])[0]["Status"]["State"]
        if state != "down":
            fix = f"if it has failed, switch it off; if it runs: .venv/bin/mailctl node drain {node.name}"
            problems.append(Problem("host", f"is {state} for the engine", fix, value=node.name))
    else:
        problems.append(
            Problem("this host", "is no manager: it cannot ask the engine", "docker node promote it")
        )
    if open_ports := [str(port) for port in PORTS if answers(node.address, port)]:
        fix = "switch it off, by its power or its hypervisor"
        problems.append(
            Problem("host", f"still answers on port {', '.join(open_ports)}", fix, value=node.name)
        )
    if not switched_off:
        wrong = "is it switched off? One that is only cut off goes on serving whoever reaches it"
        fix = "switch it off, see that it is, then add --switched-off"
        problems.append(Problem("host", wrong, fix, value=node.name))
    if problems:
        raise Refused(*problems)


def answers(address: str, port: int) -> bool:
    """Whether something takes a connection there."""
    try:
        socket.create_connection((address, port), ANSWER_SECONDS).close()
    except OSError:
        return False
    return True


def copies_of(context: Context, node: Node) -> dict[str, Copy]:
    """The copies that this host has of another one's volumes. Raises Refused: it has none."""
    found = copies.held(hdd(context) / copies.OTHERS / node.name)
    if shard_of(node) not in found:
        fix = "run this on the host that holds them: the next with a shard in nodes.yml"
        raise Refused(Problem("copies", "are not on this host", fix, value=node.name))
    return found


def take_over(context: Context, node: Node, here: Node, found: dict[str, Copy]) -> dict[str, str]:
    """Serve a failed host's mailboxes from copies; what each volume is called here. Raises Refused.

    The disk first, then the database in one commit: stopped in between, it serves nothing, and another run
    makes another volume of the same copy.
    """
    root = hdd(context)
    docker.run("node", "update", "--availability", "drain", node.name)
    made = {volume: copies.promote(copied, root) for volume, copied in sorted(found.items())}
    wanted = {"from": shard_of(node), "to": shard_of(here), "volumes": made}
    try:
        shards.ask(context, take_over=wanted)
    except Refused:
        for name in made.values():
            copies.drop(root, name)
        raise
    return made


def come_back(context: Context, node: Node, lost: bool) -> None:
    """Merge what a host had not copied when it failed, or stop waiting for it. Raises Refused."""
    if not lost:
        docker.run("node", "update", "--availability", "active", node.name)
    shards.ask(context, back={"name": shard_of(node), "lost": lost})


def this(inventory: Inventory) -> Node:
    """The host that this runs on. Raises Refused."""
    return named(inventory, str(docker.info().get("Name", "")))


def plan(state: dict[str, Any], source: str | None) -> list[shards.Step]:
    """To empty a shard, or to level all."""
    return shards.emptying(state, source) if source else shards.levelling(state)


def carry_out(context: Context, steps: Sequence[shards.Step], close: str | None) -> list[str]:
    """Ask for the moves of a plan; `close` takes no new mailboxes. The addresses. Raises Refused."""
    closed = [{"name": close, "open": False}] if close else []
    asked = shards.ask(context, set=closed, spread=[step.as_dict() for step in steps])["asked"]
    return [str(address) for address in asked]
