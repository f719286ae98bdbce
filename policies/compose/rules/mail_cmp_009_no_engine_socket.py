import posixpath
from collections.abc import Iterator

from policies.compose.project import Service
from policies.compose.rule import ComposeRule
from policies.model import Found, Severity
from policies.shared.located import mapping

SOCKETS = ("docker.sock", "containerd.sock", "podman.sock", "crio.sock", "dockershim.sock")
#: Folders that hold everything there is.
ROOTS = ("/", "/var", "/var/lib", "/home", "/usr", "/mnt")
#: Folders of the host's own, with all that is below them.
OWN = (
    *("/run", "/var/run", "/etc", "/proc", "/sys", "/dev", "/root", "/boot"),
    *("/var/lib/docker", "/var/lib/containerd", "/var/lib/containers", "/var/lib/kubelet"),
)


class MAIL_CMP_009(ComposeRule):
    """Whoever can talk to the engine is root on the host: one call starts a container that mounts its disk.

    Mounting the socket read-only changes nothing, since it is a socket. Folders of the host that hold it, or
    the host's own settings, are the same door.
    """

    name = (
        "No engine socket and no folder of the host's own: mount nothing but volumes and "
        "this repository's config"
    )
    severity = Severity.CRITICAL
    fix = "Remove the mount; what must command the engine runs on the host, as mailctl does"
    bad = "services:\n  nginx:\n    volumes:\n      - /var/run/docker.sock:/var/run/docker.sock:ro\n"
    good = "services:\n  nginx:\n    volumes:\n      - ./config/nginx:/etc/nginx/conf.d:ro\n"

    def check_service(self, service: Service) -> Iterator[Found]:
        """Look at mounts, at secrets and configs, and at the way to an engine elsewhere."""
        for item, place in service.items("volumes"):
            source = mapping(item).get("source")
            pipe = mapping(item).get("type") == "npipe"
            if pipe or (isinstance(source, str) and self._dangerous(source)):
                yield Found(
                    place,
                    f"{source} of the host is mounted",
                    "a volume, or a file below ./config",
                    service.name,
                )
        for section in ("secrets", "configs"):
            for item, place in service.items(section):
                name = str(mapping(item).get("source"))
                file = mapping(service.project.section(section).get(name)).get("file")
                if isinstance(file, str) and self._dangerous(file):
                    yield Found(place, f"{section} {name} is {file}", "a secret file", service.name)
        for name, value, place in service.entries("environment"):
            if name in ("DOCKER_HOST", "CONTAINER_HOST") and value:
                yield Found(place, f"{name} leads to an engine", "leave it out", service.name)

    def _dangerous(self, source: str) -> bool:
        path = posixpath.normpath(source.replace("//", "/"))
        below = any(path == folder or path.startswith(f"{folder}/") for folder in OWN)
        return path in ROOTS or below or posixpath.basename(path) in SOCKETS


check = MAIL_CMP_009()
