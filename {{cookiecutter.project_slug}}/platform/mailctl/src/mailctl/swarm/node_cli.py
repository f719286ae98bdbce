"""`mailctl node`: the hosts of several, and the mailboxes on them. Work is imported when a command runs."""

import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mailctl.core.context import Context, JsonOption, RepoOption, command, group

if TYPE_CHECKING:
    from mailctl.swarm.shards import Step

app = group("Hosts of several: what each holds, and hosts that come, are emptied, fail or return.")
NameArgument = Annotated[str, typer.Argument(metavar="HOST", help="A host of nodes.yml.")]
NowOption = Annotated[bool, typer.Option("--now", help="Do it; without it, only the plan is shown.")]
OffOption = Annotated[
    bool, typer.Option("--switched-off", help="You have seen that the host is switched off.")
]
LostOption = Annotated[bool, typer.Option("--lost", help="It never comes back: wait for it no longer.")]


@app.command("list")
def show(repo: RepoOption = None, as_json: JsonOption = False) -> None:
    """Which shard is where and what it holds, mailboxes on their way, and what only this host has."""
    with command(repo, as_json) as context:
        from mailctl.core.format import size
        from mailctl.core.second_copy import at_risk
        from mailctl.swarm import shards

        state = shards.ask(context)
        for shard in state["shards"]:
            closed = "" if shard["open"] else ", closed"
            held = f"{shard['mailboxes']} mailboxes, {size(shard['bytes'])}"
            context.out.row(shard["name"], f"on {shard['node']}: {held}{closed}")
        for move in state["moves"]:
            trouble = f" ({move['trouble']})" if move["trouble"] else ""
            context.out.row(
                move["state"], f"{move['email']}: {move['source']} to {move['target']}{trouble}", 18
            )
        risk = at_risk(context)
        for name, seconds in risk.items():
            since = (
                "everything: it was never copied" if seconds is None else f"the last {seconds:.0f} seconds"
            )
            context.out.row("only here", f"volume {name}: {since}")
        document = {"shards": state["shards"], "moves": state["moves"], "moving": state["moving"]}
        context.finish({"ok": True, **document, "seconds_at_risk": risk})


@app.command()
def add(name: NameArgument, repo: RepoOption = None, as_json: JsonOption = False) -> None:
    """Bring in a host of nodes.yml: labels on a manager; on itself its folders and its shard."""
    with command(repo, as_json) as context:
        from mailctl.swarm import inventory, nodes

        hosts = inventory.read(context.repo)
        done, left = nodes.add(context, hosts, nodes.named(hosts, name))
        for each in done:
            context.out.row("done", each)
        for each in left:
            context.out.row("left", each)
        context.finish({"ok": True, "done": done, "left": left})


@app.command()
def drain(
    name: NameArgument, now: NowOption = False, repo: RepoOption = None, as_json: JsonOption = False
) -> None:
    """Move every mailbox of a host to the others: a plan first. People go on meanwhile."""
    with command(repo, as_json) as context:
        from mailctl.swarm import inventory, nodes, shards

        source = nodes.shard_of(nodes.named(inventory.read(context.repo), name))
        _move(context, nodes.plan(shards.ask(context), source), now, source)


@app.command()
def rebalance(now: NowOption = False, repo: RepoOption = None, as_json: JsonOption = False) -> None:
    """Move mailboxes until every open shard has as many as the others: a plan first."""
    with command(repo, as_json) as context:
        from mailctl.swarm import nodes, shards

        _move(context, nodes.plan(shards.ask(context), None), now, None)


def _move(context: Context, steps: "list[Step]", now: bool, close: str | None) -> None:
    from mailctl.swarm import nodes

    asked = nodes.carry_out(context, steps, close) if now else []
    for step in steps:
        context.out.row("plan", f"{step.mailboxes} mailboxes from shard {step.source} to {step.target}")
    if not steps:
        context.out.show("Nothing is to be moved.")
    elif now:
        context.out.show(f"{len(asked)} mailboxes are being moved: .venv/bin/mailctl node list")
    else:
        context.out.show("Nothing was done: add --now to do it.")
    plan: list[dict[str, Any]] = [step.as_dict() for step in steps]
    context.finish({"ok": True, "plan": plan, "asked": asked})


@app.command()
def copy(repo: RepoOption = None, as_json: JsonOption = False) -> None:
    """Send what is new in this host's mailboxes to the next host; a timer does it every minute."""
    with command(repo, as_json) as context:
        from mailctl.swarm import copies, inventory, nodes

        hosts = inventory.read(context.repo)
        made = copies.copy(context, hosts, nodes.this(hosts).name)
        for name, at in made.items():
            context.out.row(name, f"as it was {max(0, time.time() - at):.0f} seconds ago")
        context.finish({"ok": True, "copied": made})


@app.command()
def fail(
    name: NameArgument,
    switched_off: OffOption = False,
    repo: RepoOption = None,
    as_json: JsonOption = False,
) -> None:
    """Serve a failed host's mailboxes from copies here. Refused while that host may still serve."""
    with command(repo, as_json) as context:
        from mailctl.swarm import inventory, nodes

        hosts = inventory.read(context.repo)
        node, here = nodes.named(hosts, name), nodes.this(hosts)
        found = nodes.copies_of(context, node)
        nodes.refuse_unless_fenced(node, switched_off)
        made = nodes.take_over(context, node, here, found)
        ages = {volume: time.time() - copied.at for volume, copied in found.items()}
        for volume, age in ages.items():
            context.out.row(volume, f"served from its copy of {age:.0f} seconds ago, here as {made[volume]}")
        again = f".venv/bin/mailctl node return {name}"
        context.out.show(f"What it had not copied is on its disk: {again}, once it runs again.")
        context.finish({"ok": True, "volumes": made, "copied_seconds_ago": ages})


@app.command("return")
def come_back(
    name: NameArgument, lost: LostOption = False, repo: RepoOption = None, as_json: JsonOption = False
) -> None:
    """Merge what a failed host had not copied, now that it runs again; or wait for it no longer."""
    with command(repo, as_json) as context:
        from mailctl.swarm import inventory, nodes

        nodes.come_back(context, nodes.named(inventory.read(context.repo), name), lost)
        said = (
            "is not waited for any more"
            if lost
            else "is merged: .venv/bin/mailctl node list. Then: .venv/bin/mailctl node rebalance"
        )
        context.out.show(f"What {name} alone had {said}")
        context.finish({"ok": True, "lost": lost})
