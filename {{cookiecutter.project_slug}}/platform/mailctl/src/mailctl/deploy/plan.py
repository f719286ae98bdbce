"""Which services must be recreated to be what a commit describes, and why. Nothing here changes anything."""

import hashlib
import json
from collections.abc import Iterable, Mapping

from mailctl.core.engine import ContainerState
from mailctl.core.runtime import Runtime, Service
from mailctl.deploy.records import Point
from mailctl.deploy.tree import Tree, changed_at, digest


def contexts(services: Mapping[str, Service], tree: Tree, commit: str) -> dict[str, str]:
    """What git calls the folder that each of our own images is built from."""
    return {name: tree.id(commit, one.build) for name, one in services.items() if one.build}


def to_build(
    runtime: Runtime, services: Mapping[str, Service], wanted: Mapping[str, str], before: Point | None
) -> list[str]:
    """Our own images whose folder has changed since they were built, or that are not here."""
    known = before.contexts if before else {}
    return [
        name
        for name, one in services.items()
        if one.build and (not wanted[name] or known.get(name) != wanted[name] or not runtime.image(one.image))
    ]


def to_fetch(runtime: Runtime, services: Mapping[str, Service]) -> list[str]:
    """Images of others that are not here."""
    return [name for name, one in services.items() if not one.build and not runtime.image(one.image)]


def changes(
    runtime: Runtime,
    tree: Tree,
    services: Mapping[str, Service],
    before: Point | None,
    images: Mapping[str, str | None],
    staged: bool,
) -> dict[str, str]:
    """Each service that must be recreated, in start order, with the reason."""
    running = runtime.running()
    planned: dict[str, str] = {}
    for name, service in services.items():
        found = running.get(name)
        reason = _reason(found, service, images.get(name)) or _files_changed(
            found, service, tree, before, staged
        )
        if not reason and (first := next((other for other in service.follows if other in planned), None)):
            reason = f"{first} gets a new address"
        if reason:
            planned[name] = reason
    return planned


def orphans(running: Iterable[str], services: Mapping[str, Service]) -> list[str]:
    """Containers of the project whose service is gone."""
    return sorted(set(running) - set(services))


def _reason(found: ContainerState | None, service: Service, image: str | None) -> str:
    if found is None:
        return "does not run"
    if image is None:
        return "its image will be fetched or built"
    if found.image_id != image:
        return "another image"
    if found.settings != service.settings:
        return "other settings"
    if found.status != "running" and not found.done:
        return f"does not run ({found.word})"
    return "is unhealthy" if found.health == "unhealthy" else ""


def _files_changed(
    found: ContainerState | None, service: Service, tree: Tree, before: Point | None, staged: bool
) -> str:
    """Compose does not see that the content of a mounted file differs from when the container started."""
    if found is None or not service.files:
        return ""
    wanted = digest(service, tree, staged)
    container, read = (before.files.get(service.name) if before else None) or ("", "")
    if container == found.id:
        files, _, around = read.partition(" ")
        if around and around != _around(service):
            return "other volumes or networks"
        return "" if files == wanted else "other files"
    # Not started by us, as after a rotation of secrets: it has read what was there at that moment.
    started = found.started_at.timestamp() if found.started_at else 0.0
    if changed_at(service, tree) > started + 1 or digest(service, tree, staged=False) != wanted:
        return "other files"
    return ""


def _around(service: Service) -> str:
    return hashlib.sha256(json.dumps(service.around, sort_keys=True).encode()).hexdigest()[:16]


def states(runtime: Runtime) -> dict[str, str]:
    """Each service's state in a word."""
    return {name: found.word for name, found in sorted(runtime.running().items())}


def snapshot(
    runtime: Runtime, tree: Tree, services: Mapping[str, Service], commit: str, schema: str | None
) -> Point:
    """The state as it is now, to go back to."""
    running = runtime.running()
    return Point(
        ref=commit,
        images={name: found.image_id for name, found in running.items()},
        files={
            name: [running[name].id, f"{digest(one, tree, staged=False)} {_around(one)}"]
            for name, one in services.items()
            if name in running
        },
        contexts=contexts(services, tree, commit),
        states={name: found.word for name, found in running.items()},
        schema=schema,
    )
