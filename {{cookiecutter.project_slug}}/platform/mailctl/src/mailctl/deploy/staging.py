"""A commit beside the live tree on several hosts: what its stack would be, and what that changes."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from mailctl.core.checklist import FAILED
from mailctl.core.context import Context
from mailctl.core.errors import Problem, Refused
from mailctl.core.folders import secrets
from mailctl.core.runtime import Runtime, Service
from mailctl.deploy import checks, described
from mailctl.deploy.host import Host
from mailctl.deploy.tree import Tree
from mailctl.swarm import deploy as work
from mailctl.swarm import docker, images, inventory, model, preflight
from mailctl.swarm import render as made
from mailctl.swarm.render import Stack

NEW, IMAGE, OTHER = "is new", "another image", "other settings, files or secrets"
#: What git does not have, and a tree needs.
PRIVATE = (".env", "docker-compose.override.yml")
DEPLOY = ".venv/bin/mailctl swarm deploy"


@dataclass(frozen=True)
class Staged:
    """A commit with its images in the registry: its stack, and its services as compose has them, by name."""

    stage: Path
    stack: Stack
    services: Mapping[str, Service]


def rendered(host: Host, stage: Path) -> Staged:
    """Push its images, and render it. Raises Refused: hosts are not as nodes.yml says, or it cannot run."""
    context = _context(host, stage)
    lines = [*preflight.swarm(inventory.read(stage), docker.nodes()), *described.makefile(Tree(stage, stage))]
    if bad := [line for line in lines if line.mark == FAILED]:
        fix = f"{{}}; to deploy without it: {DEPLOY} --despite {{}}"
        raise Refused(*(Problem(f"host {one.name}", one.found, fix.format(one.fix, one.name)) for one in bad))
    stack = images.stack(context, push_them=True)
    services = Runtime(context, host.runtime.engine).services(stage)
    return Staged(stage, stack, services)


def unchanged(host: Host, stage: Path, same_commit: bool) -> bool:
    """Whether the commit, with the secrets of this host, is what runs already; nothing is pushed for it."""
    good = work.last_good(host.context.project_name)
    return bool(same_commit and good) and not planned(
        good, _with_images(_context(host, stage), services(good))
    )


def _with_images(context: Context, there: Mapping[str, Any]) -> str:
    """The stack file with the images that run."""
    nodes = inventory.read(context.repo)
    found = model.read(context, nodes)
    names = {one.base: there.get(one.name, {}).get("image", NEW) for one in found.services}
    return made.stack(found, nodes, context.repo, names).text


def draft(host: Host, tree: Tree, commit: str) -> str:
    """The stack file of a commit without a registry: its images are what compose or git calls them."""
    context = _context(host, tree.prepare(commit))
    nodes = inventory.read(context.repo)
    found = model.read(context, nodes)
    names = {one.base: _source(one.raw, context.repo, host.tree, commit) for one in found.services}
    return made.stack(found, nodes, context.repo, names).text


def _source(raw: Mapping[str, Any], stage: Path, tree: Tree, commit: str) -> str:
    build = raw.get("build")
    if not build:
        return str(raw.get("image"))
    inside = Path(build["context"]).relative_to(stage)
    return f"built-from:{tree.id(commit, tree.repo / inside)}"


def services(text: str) -> dict[str, Any]:
    """Each service of a stack file, with the real names of its secrets."""
    body: dict[str, Any] = yaml.safe_load(text) if text else {"services": {}}
    real = body.get("secrets") or {}
    return {
        name: {**one, "secrets": [{**each, **real[each["source"]]} for each in one.get("secrets") or ()]}
        for name, one in body["services"].items()
    }


def planned(old: str, new: str) -> dict[str, str]:
    """Each service that a deployment changes, and why, in the order of the file."""
    before, found = services(old), {}
    for name, wanted in services(new).items():
        there = before.get(name)
        if there is None:
            found[name] = NEW
        elif there["image"] != wanted["image"]:
            found[name] = IMAGE
        elif there != wanted:
            found[name] = OTHER
    return found


def same_secrets(tree: Tree, commit: str, old: str, new: str, last: tuple[str, str]) -> None:
    """Raises Refused when secrets would change only because another host deploys, which has others."""
    before, name = last
    if not before or not old or name == docker.info().get("Name"):
        return
    then, now = (yaml.safe_load(text).get("secrets") or {} for text in (old, new))
    differing = sorted(key for key in then.keys() & now.keys() if then[key] != now[key])
    if differing and tree.id(before, tree.repo / "secrets.age") == tree.id(commit, tree.repo / "secrets.age"):
        wrong = f"{', '.join(differing)} here and on {name}, which deployed last, are not the same"
        fix = f"copy secrets/ from {name}, or keep them in git; if these are right: {DEPLOY}"
        raise Refused(Problem("secrets", wrong, fix))


def check(staged: Staged, changing: Iterable[str], host: Host) -> None:
    """Have each changed configuration judged by its own checker in its image. Raises Refused."""
    # A member (mariadb-1) is judged once, by what it is one of.
    names = [name for name in staged.services if any(_is(each, name) for each in changing)]
    host.say(f"checking the configuration of {', '.join(names)}")
    runtime = Runtime(_context(host, staged.stage), host.runtime.engine)
    checks.check(runtime, Tree(staged.stage, staged.stage), staged.services, names)


def _is(service: str, base: str) -> bool:
    return service == base or service.rpartition("-")[0] == base


def _context(host: Host, stage: Path) -> Context:
    """The commit's own tree, with what only this host has."""
    repo, names = host.context.repo, host.context.setting("COMPOSE_FILE").split(":")
    for path in (*(repo / name for name in (*PRIVATE, *filter(None, names))), secrets(host.context)):
        beside = stage / path.relative_to(repo) if path.is_relative_to(repo) else None
        if beside and path.exists() and not beside.exists():
            beside.symlink_to(path)
    return Context(stage, host.context.out, {**host.context.environ, "MEMBER": model.PLACEHOLDER})
