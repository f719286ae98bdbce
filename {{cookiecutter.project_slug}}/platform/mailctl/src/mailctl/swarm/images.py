"""Images for every host: pushed into the operator's registry, and named by their digest there."""

import contextlib
from collections.abc import Mapping
from typing import Any

from mailctl.core.context import Context
from mailctl.core.errors import Problem, Refused
from mailctl.swarm import docker, inventory, model, render

PUSH_SECONDS = 3600
REGISTRY = "SWARM_REGISTRY"


def repository(context: Context, service: str) -> str:
    """Where a service's image lies in the registry. Raises Refused: no registry is set."""
    registry = context.setting(REGISTRY).rstrip("/")
    if not registry:
        wrong = "is not set: other hosts have nowhere to fetch the images from"
        fix = f'write {REGISTRY}=registry.example.org/mail into .env (docs/several-hosts.md, "The registry")'
        raise Refused(Problem(REGISTRY, wrong, fix))
    if "://" in registry or "@" in registry:
        fix = "write host, port and path only, such as registry.example.org:5000/mail"
        raise Refused(Problem(REGISTRY, "is no place of images", fix, value=registry))
    return f"{registry}/{context.project_name}/{service}"


def references(context: Context, services: Mapping[str, Any]) -> dict[str, str]:
    """The reference by digest of each service's image, as it was pushed. Raises Refused: one was not."""
    found, problems = {}, []
    for service in services:
        place = repository(context, service)
        if digest := _digest(_local(context, service, services[service]), place):
            found[service] = digest
        else:
            problems.append(
                Problem(f"image of {service}", "is not in the registry", ".venv/bin/mailctl swarm push")
            )
    if problems:
        raise Refused(*problems)
    return found


def push(context: Context, services: Mapping[str, Any]) -> dict[str, str]:
    """Build, fetch and push what the services run; returns their references by digest."""
    compose = model.compose(context)
    for service in services:  # before anything is built
        repository(context, service)
    if built := [name for name, raw in services.items() if raw.get("build")]:
        context.out.note(f"building {', '.join(built)}")
        compose.run("build", "--quiet", *built)
    for service, raw in services.items():
        local, place = _local(context, service, raw), repository(context, service)
        if not raw.get("build") and not _known(local):
            context.out.note(f"fetching {local}")
            docker.run("pull", "--quiet", local, seconds=PUSH_SECONDS)
        # By the image's own id: the tag says nothing, the digest everything.
        tag = f"{place}:{_known(local)['Id'].removeprefix('sha256:')[:12]}"
        docker.run("tag", local, tag)
        context.out.note(f"pushing {service}")
        docker.run("push", "--quiet", tag, seconds=PUSH_SECONDS)
    return references(context, services)


def of_file(found: model.Model) -> dict[str, Mapping[str, Any]]:
    """The services as the file names them: a member's image is its service's."""
    return {service.base: service.raw for service in found.services}


def stack(context: Context, push_them: bool) -> render.Stack:
    """What deploy gives to the engine. What can be refused without an image is, before one is built."""
    nodes = inventory.read(context.repo)
    found = model.read(context, nodes)
    services = of_file(found)
    render.stack(found, nodes, context.repo, dict.fromkeys(services, "not pushed yet"))
    there = (push if push_them else references)(context, services)
    return render.stack(found, nodes, context.repo, there)


def _local(context: Context, service: str, raw: Mapping[str, Any]) -> str:
    """What compose calls the image here."""
    return str(raw.get("image") or f"{context.project_name}-{service}")


def _known(image: str) -> dict[str, Any]:
    """What this engine knows of an image; nothing when it has none of that name."""
    with contextlib.suppress(Refused):
        return docker.inspected("image", [image])[0]
    return {}


def _digest(local: str, place: str) -> str:
    """`place@sha256:…`, once the image was pushed there; empty before."""
    digests = _known(local).get("RepoDigests") or []
    return next((each for each in digests if each.partition("@")[0] == place), "")
