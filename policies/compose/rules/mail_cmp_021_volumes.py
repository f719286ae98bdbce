import posixpath
import re
from collections.abc import Iterator

from policies.compose.project import Project, Service
from policies.compose.rule import ComposeRule
from policies.model import Found, Place, Severity
from policies.shared import tables
from policies.shared.located import mapping

#: What an npipe is says another rule.
KINDS = ("volume", "bind", "tmpfs", "image", "npipe")
#: Folders that mean the same in no two images.
SHARED = ("/data",)
SHARING = ("shared", "rshared", "slave", "rslave")
#: A device that begins with a variable; a comment behind it is none of it.
DEVICE = re.compile(
    r"device[\"']?\s*[:=]\s*[\"']?\$(?:\{(?P<braced>\w+)(?::?[?-][^}]*)?\}|(?P<plain>\w+))(?P<rest>[^\"'\s,}]*)"
)


class MAIL_CMP_021(ComposeRule):
    """Mail belongs on the large disk, the database on the fast one, and both into the backup.

    Data in an anonymous volume or in a folder that nobody backs up is lost with the next `docker compose down
    -v` or the next disk. What is mounted from this repository is read-only: a service must not rewrite its
    own rules.
    """

    name = "Data on the named volumes only, config read-only: see policies/data/volumes.yml"
    severity = Severity.HIGH
    fix = (
        "Use the volume that policies/data/volumes.yml names for this data, and :ro for "
        "what comes from ./config"
    )
    bad = "services:\n  mariadb:\n    volumes: [/var/lib/mysql]\n"
    good = (
        'services:\n  mariadb:\n    volumes: ["db_data:/var/lib/mysql", '
        '"./config/mariadb:/etc/mysql/conf.d:ro"]\n'
    )

    def check(self, subject: Project) -> Iterator[Found]:
        """Look at each mount, then at where the volumes live."""
        for service in subject.services.values():
            yield from self.check_service(service)
        bound = tables.table("volumes")["bound"]
        for name, node in subject.section("volumes").items():
            where, options = subject.where("volumes", name), mapping(mapping(node).get("driver_opts"))
            if mapping(node).get("external"):
                yield Found(
                    where, f"the volume {name} belongs to another project", "a volume of this project", name
                )
            elif mapping(node).get("driver", "local") != "local":
                yield Found(
                    where,
                    f"the volume {name} has the driver {mapping(node).get('driver')}",
                    "driver: local",
                    name,
                )
            elif name in bound:
                yield from self._bound(subject, name, options, bound[name])
            elif options.get("device"):
                yield Found(
                    where,
                    f"the volume {name} lies in {options['device']}",
                    "a line in policies/data/volumes.yml",
                    name,
                )

    def _bound(self, project: Project, name: str, options: dict, variable: str) -> Iterator[Found]:
        where = project.where("volumes", name, "driver_opts", "device")
        text = project.written("volumes", name, "driver_opts", "device")
        device = DEVICE.search(text)
        below = device and variable in (device["braced"], device["plain"]) and ".." not in device["rest"]
        if not below:
            what = f"the volume {name} does not lie below {variable}"
            yield Found(where, what, f"device: ${{{variable}:?}}/…", name)
        elif options.get("type") != "none" or "bind" not in str(options.get("o", "")).split(","):
            yield Found(where, f"the volume {name} is not bound to its folder", "type: none, o: bind", name)

    def check_service(self, service: Service) -> Iterator[Found]:
        """Look at the mounts of one service, then for those that it must have."""
        mounts = tables.table("volumes")["mounts"]
        wanted = {row["target"]: name for name, row in mounts.items()}
        reached = set()
        for item, place in service.items("volumes"):
            mount = mapping(item)
            target = posixpath.normpath(str(mount.get("target")))
            reached.add(target)
            yield from self._mount(service, mount, place)
            for folder, name in wanted.items():
                own = mounts[name]["service"] == service.name or folder not in SHARED
                hidden = target == folder or target.startswith(f"{folder}/")
                if hidden and own and mount.get("source") != name:
                    yield Found(
                        place, f"{target} is on {mount.get('source')}", f"the volume {name}", service.name
                    )
        for item, place in service.items("tmpfs"):
            target = posixpath.normpath(str(item).partition(":")[0])
            reached.add(target)
            if target in wanted and (
                mounts[wanted[target]]["service"] == service.name or target not in SHARED
            ):
                yield Found(
                    place, f"{target} is in memory only", f"the volume {wanted[target]}", service.name
                )
        for name, row in mounts.items():
            if row["service"] == service.name and row["target"] not in reached:
                what = f"{row['target']} is gone with the container"
                yield Found(service.where("volumes"), what, f"the volume {name}", service.name)

    def _mount(self, service: Service, mount: dict, place: Place) -> Iterator[Found]:
        """Look at one mount: what kind it is, and whose volume."""
        source, kind = mount.get("source"), mount.get("type") or "volume"
        row = tables.table("volumes")["mounts"].get(str(source))
        if kind == "bind":
            yield from self._bind(service, mount, place, tables.table("volumes")["binds"])
        elif kind == "volume" and not source:
            yield Found(
                place, f"{mount.get('target')} is an anonymous volume", "a volume with a name", service.name
            )
        elif kind == "volume" and row is None:
            what = f"the volume {source} is in no backup"
            line = f"{source}: {{service: {service.name}, target: {mount.get('target')}}}"
            should = f"a volume of policies/data/volumes.yml, or below mounts there {line}"
            yield Found(place, what, should, service.name)
        elif row is not None and row["service"] != service.name:
            yield Found(
                place, f"the volume {source} belongs to {row['service']}", "a volume of its own", service.name
            )
        elif kind not in KINDS:
            yield Found(place, f"{source} is mounted as {kind}", "a volume with a name", service.name)

    def _bind(self, service: Service, mount: dict, place: Place, binds: list) -> Iterator[Found]:
        source = str(mount.get("source"))
        if mapping(mount.get("bind")).get("propagation") in SHARING:
            what = f"mounts made below {source} show on the host"
            yield Found(place, what, "leave the propagation out", service.name)
        if "$" in source or not any(source == folder or source.startswith(f"{folder}/") for folder in binds):
            yield Found(
                place, f"{source} is mounted from the host", "a named volume, or ./config", service.name
            )
        elif mount.get("read_only") is not True:
            yield Found(place, f"{source} can be written from inside", ":ro behind it", service.name)


check = MAIL_CMP_021()
