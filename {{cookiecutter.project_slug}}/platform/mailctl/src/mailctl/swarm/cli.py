"""`mailctl swarm`: the stack on several hosts. Work is imported when a command runs."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from mailctl.core.context import Context, JsonOption, RepoOption, command, group

if TYPE_CHECKING:
    from mailctl.swarm.model import Model

HELP = """The server on several hosts, as a stack of Docker Swarm (answer scale: swarm). nodes.yml says which
hosts; docs/several-hosts.md says how they come together. Run it on a manager.
"""
app = group(HELP)

DespiteOption = Annotated[
    list[str] | None,
    typer.Option("--despite", help="A host that is down: nobody waits for what only runs there."),
]

#: The service whose image the probe of preflight runs in: it has Python, and comes from the registry.
PROBE_SERVICE = "mailserver-api"


@app.command()
def render(repo: RepoOption = None, as_json: JsonOption = False) -> None:
    """Print the stack file that deploy would give to the engine; its images must have been pushed."""
    with command(repo, as_json) as context:
        from mailctl.swarm import images

        stack = images.stack(context, push_them=False)
        context.out.plain(stack.text.rstrip())
        names = [f"{each.kind} {each.name}" for each in stack.objects]
        document = {"ok": True, "stack": dict(stack.body), "waves": [list(wave) for wave in stack.waves]}
        context.finish({**document, "objects": names})


@app.command()
def push(repo: RepoOption = None, as_json: JsonOption = False) -> None:
    """Build or fetch every image, push it into your registry, and print its digest there."""
    with command(repo, as_json) as context:
        from mailctl.swarm import images

        references = images.push(context, images.of_file(_model(context)))
        for service, reference in references.items():
            context.out.row(service, reference, 16)
        context.finish({"ok": True, "images": references})


@app.command()
def preflight(repo: RepoOption = None, as_json: JsonOption = False) -> None:
    """Ask every host: engine, privileges, labels, clock, the overlay between every two. Exit 1: no."""
    from mailctl.core import checklist

    with command(repo, as_json) as context:
        from mailctl.swarm import docker, images, inventory
        from mailctl.swarm import preflight as look

        nodes, model = inventory.read(context.repo), _model(context)
        found = docker.nodes()
        lines = list(look.swarm(nodes, found))
        image = images.references(context, {PROBE_SERVICE: images.of_file(model)[PROBE_SERVICE]})[
            PROBE_SERVICE
        ]
        # A drained host is told above, and runs no probe.
        expected = {
            each["Description"]["Hostname"]
            for each in found
            if each["Spec"]["Availability"] == "active" and each["Status"]["State"] == "ready"
        }
        overlay = "encrypted overlay" if nodes.encrypted else "overlay"
        lines += look.heard(look.probe(model.project, image, expected, nodes.encrypted), expected, overlay)
        if not as_json:
            context.out.lines(checklist.texts(lines, context.out.console.width))
        ok = all(line.mark != checklist.FAILED for line in lines)
        context.finish({"ok": ok, "checks": [line.as_dict() for line in lines]})


@app.command()
def deploy(despite: DespiteOption = None, repo: RepoOption = None, as_json: JsonOption = False) -> None:
    """Push the images, then bring the stack to this tree; a failure leaves the old stack.

    A migration that waits runs first. No mail is held and no canary is sent: make deploy does that.
    """
    with command(repo, as_json) as context:
        from mailctl.core import checklist
        from mailctl.core.errors import Problem, Refused
        from mailctl.swarm import deploy as work
        from mailctl.swarm import docker, images, inventory, migrate
        from mailctl.swarm import preflight as look

        absent = _pinned_to(context, despite)
        lines = look.swarm(inventory.read(context.repo), docker.nodes())
        bad = [line for line in lines if line.mark == checklist.FAILED and line.name not in (despite or ())]
        if bad:
            raise Refused(*(Problem(f"host {line.name}", line.found, line.fix) for line in bad))
        stack, commit = images.stack(context, push_them=True), _commit(context)
        with (
            _alone(context, ".venv/bin/mailctl swarm deploy", commit) as check,
            migrate.ready(context, stack) as first,
        ):
            done = work.Swarm(stack.name, context.out.note, absent, commit, check).deploy(stack, first)
        context.out.row("deployed", ", ".join(done.services))
        if done.removed:
            context.out.row("removed", ", ".join(done.removed))
        context.finish({"ok": True, "services": done.services, "removed": done.removed, "made": done.objects})


@app.command()
def rollback(despite: DespiteOption = None, repo: RepoOption = None, as_json: JsonOption = False) -> None:
    """Bring the stack back to the last deployment that got ready, as after one that was interrupted."""
    with command(repo, as_json) as context:
        from mailctl.swarm import deploy as work

        absent = _pinned_to(context, despite)
        with _alone(context, ".venv/bin/mailctl swarm rollback", "") as check:
            services = work.Swarm(context.project_name, context.out.note, absent, check=check).roll_back()
        context.out.row("restored", ", ".join(services))
        context.finish({"ok": True, "services": services})


@app.command()
def status(repo: RepoOption = None, as_json: JsonOption = False) -> None:
    """Which hosts there are, and what runs where. Exit 1: a host is not ready, or a service lacks a task."""
    with command(repo, as_json) as context:
        from mailctl.swarm import status as look

        nodes = look.nodes()
        ready = {each["id"]: each["name"] for each in nodes if each["state"] == "ready"}
        services = look.services(context.project_name, ready)
        for node in nodes:
            role = "leader" if node["leader"] else node["manager"] or "worker"
            context.out.row(
                node["name"], f"{node['state']}, {node['availability']}, {role}, {node['engine']}", 16
            )
        for each in services:
            where = ", ".join(each["hosts"]) or each["why"]
            context.out.row(each["name"], f"{each['running']} of {each['wanted']}  {where}", 16)
        ok = (
            len(ready) == len(nodes)
            and bool(services)
            and all(each["running"] >= each["wanted"] > 0 for each in services)
        )
        context.finish({"ok": ok, "nodes": nodes, "services": services})


@app.command()
def check(repo: RepoOption = None, as_json: JsonOption = False) -> None:
    """Read from the kernel whether this host's tasks are as hardened as the model says. Run it as root."""
    with command(repo, as_json) as context:
        import time
        from contextlib import suppress

        from mailctl.core.errors import Refused
        from mailctl.core.monitoring import leave
        from mailctl.swarm import status as look

        count, differing = look.here(_model(context))
        with suppress(Refused):  # a host without its disk is told of that elsewhere
            leave(context, look.CHECK, {"at": time.time(), "differing": differing})
        for name, told in differing.items():
            for each in told:
                context.out.row(name, each)
        context.out.show(f"{count} tasks of this host were looked at, {len(differing)} differ.")
        context.finish({"ok": not differing, "tasks": count, "differing": differing})


@contextmanager
def _alone(context: Context, what: str, commit: str) -> "Iterator[Callable[[], None]]":
    """Nobody else changes the stack, on whatever host; says when mail is still held."""
    from mailctl.core import lock
    from mailctl.core.disks import folder_of
    from mailctl.core.folders import private
    from mailctl.swarm import kept

    # That of deployments (deploy/records.py): whoever has it may end what broke off on this host.
    path = private(folder_of(context, "SSD_PATH") / ".mailctl" / "deploy") / "lock"
    with (
        lock.exclusive(path, "deploy lock", what, "changing this host"),
        kept.taken(context.project_name, what, commit) as mine,
    ):
        yield mine.check
    if kept.held(context.project_name):
        context.out.warn("mail is held: make deploy tries the canaries, and releases it")


def _commit(context: Context) -> str:
    """The commit that this tree is; empty when it differs from it, or is of no git repository."""
    import subprocess

    def git(*words: str) -> str:
        command = ("git", "-C", str(context.repo), *words)
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        return done.stdout.strip() if done.returncode == 0 else "?"

    return "" if git("status", "--porcelain", "--untracked-files=no") else git("rev-parse", "HEAD")


def _model(context: Context) -> "Model":
    from mailctl.swarm import inventory, model

    return model.read(context, inventory.read(context.repo))


def _pinned_to(context: Context, hosts: list[str] | None) -> frozenset[str]:
    """The services that only run on these hosts. Raises Refused: there is no such host in nodes.yml."""
    from mailctl.core.errors import Problem, Refused
    from mailctl.swarm import inventory

    nodes = {node.name: node for node in inventory.read(context.repo).nodes} if hosts else {}
    if unknown := sorted(set(hosts or ()) - set(nodes)):
        fix = f"one of {', '.join(nodes)}"
        raise Refused(Problem("--despite", "is no host of nodes.yml", fix, value=unknown[0]))
    labels = {f"node.labels.{k}=={v}" for host in hosts or () for k, v in nodes[host].labels.items()}
    return frozenset(each.name for each in _model(context).services if labels & each.constraints)
