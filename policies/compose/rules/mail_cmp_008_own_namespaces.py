from collections.abc import Iterator

from policies.compose.project import Service
from policies.compose.rule import ComposeRule
from policies.model import Found, Severity

SPACES = ("network_mode", "pid", "ipc", "uts", "userns_mode", "cgroup")


class MAIL_CMP_008(ComposeRule):
    """A container in the host's network sees every port of the host; one in its process space, every process.

    Sharing another container's space undoes the separation between services in the same way: segmented
    networks say nothing any more.
    """

    name = "Own namespaces: leave network_mode, pid, ipc, uts, userns_mode and cgroup out"
    severity = Severity.CRITICAL
    fix = "Remove the line and put the service into the networks that it needs"
    bad = "services:\n  nginx:\n    network_mode: host\n"
    good = "services:\n  nginx:\n    networks: [edge, web]\n"

    def check_service(self, service: Service) -> Iterator[Found]:
        """Only what is private or none may stand there."""
        for name in SPACES:
            value = service.get(name)
            if value is not None and str(value) not in ("private", "none"):
                yield Found(service.where(name), f"{name} is {value}", "leave it out", service.name)
        if service.get("cgroup_parent") is not None:
            what = f"cgroup_parent is {service.get('cgroup_parent')}"
            yield Found(service.where("cgroup_parent"), what, "leave it out", service.name)
        if service.get("build", "network") not in (None, "none", "default"):
            where = service.where("build", "network")
            what = f"it is built in the network {service.get('build', 'network')}"
            yield Found(where, what, "leave build.network out", service.name)
        if service.get("volumes_from") or service.get("links") or service.get("external_links"):
            for name in ("volumes_from", "links", "external_links"):
                for value, place in service.items(name):
                    yield Found(
                        place, f"{name} reaches into {value}", "volumes or networks of its own", service.name
                    )


check = MAIL_CMP_008()
