import posixpath
from collections.abc import Iterator

from policies.families import ComposeRule
from policies.model import Found, Severity
from policies.sources import tables
from policies.sources.compose import Project, Service
from policies.sources.located import mapping


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
        if f"${{{variable}" not in text and f"${variable}" not in text:
            yield Found(
                where,
                f"the volume {name} does not lie below {variable}",
                f"device: ${{{variable}:?}}/…",
                name,
            )
        elif options.get("type") != "none" or "bind" not in str(options.get("o", "")).split(","):
            yield Found(where, f"the volume {name} is not bound to its folder", "type: none, o: bind", name)

    def check_service(self, service: Service) -> Iterator[Found]:
        """Look at the mounts of one service."""
        rules = tables.table("volumes")
        for item, place in service.items("volumes"):
            mount = mapping(item)
            source, target = mount.get("source"), posixpath.normpath(str(mount.get("target")))
            if mount.get("type") == "bind":
                yield from self._bind(service, mount, place, rules["binds"])
            elif mount.get("type") in (None, "volume") and source is None:
                yield Found(place, f"{target} is an anonymous volume", "a volume with a name", service.name)
            wanted = rules["targets"].get(target)
            if wanted and source != wanted:
                yield Found(place, f"{target} is on {source}", f"the volume {wanted}", service.name)
        for item, place in service.items("tmpfs"):
            target = posixpath.normpath(str(item).partition(":")[0])
            if target in rules["targets"]:
                yield Found(
                    place,
                    f"{target} is in memory only",
                    f"the volume {rules['targets'][target]}",
                    service.name,
                )

    def _bind(self, service: Service, mount: dict, place: object, binds: list) -> Iterator[Found]:
        source = str(mount.get("source"))
        if not any(source == folder or source.startswith(f"{folder}/") for folder in binds):
            yield Found(
                place, f"{source} is mounted from the host", "a named volume, or ./config", service.name
            )
        elif mount.get("read_only") is not True:
            yield Found(place, f"{source} can be written from inside", ":ro behind it", service.name)


check = MAIL_CMP_021()
