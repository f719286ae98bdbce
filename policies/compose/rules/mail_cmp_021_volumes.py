"""MAIL_CMP_021: data on the named volumes of policy.yml only, config read-only."""

import posixpath
import re
from collections.abc import Iterator

from policies.compose.project import Project, Service
from policies.model import Found, Place
from policies.shared.located import mapping

#: A folder that means the same in no two images.
SHARED = "/data"
#: A device that begins with a variable; a comment behind it is none of it.
DEVICE = re.compile(r"device[\"']?\s*[:=]\s*[\"']?\$\{?(?P<variable>\w+)[^\"'#]*")


def check(subject: Project) -> Iterator[Found]:
    """Look at each mount, then at where the volumes lie."""
    for service in subject.services.values():
        yield from _service(service)
    for name, node in subject.section("volumes").items():
        row = subject.policy.section("volumes", name)
        where, entity = subject.where("volumes", name), f"volumes/{name}"
        device = str(mapping(mapping(node).get("driver_opts")).get("device") or "")
        if mapping(node).get("external"):
            what, should = f"the volume {name} belongs to another project", "a volume of this project"
            yield Found(where, what, should, entity)
        elif mapping(node).get("driver", "local") != "local":
            what = f"the volume {name} has the driver {mapping(node).get('driver')}"
            yield Found(where, what, "driver: local", entity)
        elif row.get("below"):
            yield from _below(subject, name, row["below"])
        elif device:
            variable = _variable(subject, name) if row else ""
            suggested = subject.policy.row("volumes", name, "below", value=variable) if variable else ""
            should = "no device, or one that begins with a variable: ${NAME:?}/…"
            yield Found(where, f"the volume {name} lies in {device}", should, entity, suggested)


def _variable(project: Project, name: str) -> str:
    """Return the variable with which the device of a volume begins, if it does."""
    device = DEVICE.search(project.written(project.where("volumes", name, "driver_opts", "device")))
    return device["variable"] if device else ""


def _below(project: Project, name: str, variable: str) -> Iterator[Found]:
    where = project.where("volumes", name, "driver_opts", "device")
    device = DEVICE.search(project.written(where))
    if not device or device["variable"] != variable or ".." in device.group():
        what = f"the volume {name} does not lie below {variable}"
        yield Found(where, what, f"device: ${{{variable}:?}}/…", f"volumes/{name}")


def _service(service: Service) -> Iterator[Found]:
    """Look at the mounts of one service, then for those that it must have."""
    rows = service.project.policy.section("volumes")
    reached = {}
    for key in ("volumes", "tmpfs"):
        for item, place in service.items(key):
            mount = mapping(item) or {"type": "tmpfs", "target": str(item).partition(":")[0]}
            target = posixpath.normpath(str(mount.get("target")))
            reached[target] = (mount, place)
            if key == "volumes":
                yield from _mount(service, mount, place, f"{service.name}/volumes/{target}")
    for name, row in rows.items():
        own = row.get("service") == service.name
        for target, (mount, place) in reached.items():
            hidden = target == row["target"] or target.startswith(f"{row['target']}/")
            memory = mount.get("type") == "tmpfs"
            if memory and row.get("empty_in") == service.name:
                continue
            if hidden and (own or row["target"] != SHARED) and mount.get("source") != name:
                lies = "in memory only" if memory else f"on {mount.get('source')}"
                entity = f"{service.name}/volumes/{target}"
                yield Found(place, f"{target} is {lies}", f"the volume {name}", entity)
        if own and row["target"] not in reached and not _of_another_file(service.project, name):
            what, entity = (
                f"{row['target']} is gone with the container",
                f"{service.name}/volumes/{row['target']}",
            )
            yield Found(service.where("volumes"), what, f"the volume {name}", entity)


def _of_another_file(project: Project, name: str) -> bool:
    """Tell whether a volume is not of this project, but of one that another file makes of it."""
    others = project.repository.compose
    return name not in project.section("volumes") and any(name in each.section("volumes") for each in others)


def _mount(service: Service, mount: dict, place: Place, entity: str) -> Iterator[Found]:
    """Look at one mount: what kind it is, and whose volume."""
    policy, source, kind = service.project.policy, mount.get("source"), mount.get("type") or "volume"
    row = policy.section("volumes", str(source))
    if kind == "bind":
        folders = policy.values("binds")
        inside = any(source == folder or str(source).startswith(f"{folder}/") for folder in folders)
        readable = mount.get("read_only") is True
        if not inside:
            suggested = policy.entry("binds", value=source) if readable else ""
            what, should = f"{source} is mounted from the host", "a named volume, or ./config:/…:ro"
            yield Found(place, what, should, entity, suggested)
        elif not readable:
            yield Found(place, f"{source} can be written from inside", ":ro behind it", entity)
    elif kind == "volume" and not source:
        yield Found(place, f"{mount.get('target')} is an anonymous volume", "a volume with a name", entity)
    elif kind == "volume" and not row:
        value = {"service": service.name, "target": mount.get("target")}
        if below := _variable(service.project, str(source)):
            value["below"] = below
        suggested = policy.row("volumes", str(source), value=value)
        what, should = f"the volume {source} is in no backup", "a volume of policy.yml"
        yield Found(place, what, should, entity, suggested)
    elif row and row.get("service") != service.name:
        yield Found(place, f"the volume {source} belongs to {row['service']}", "a volume of its own", entity)
    elif kind not in ("volume", "tmpfs", "npipe"):
        yield Found(place, f"{source} is mounted as {kind}", "a volume with a name", entity)
