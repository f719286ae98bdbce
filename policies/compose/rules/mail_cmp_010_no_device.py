from collections.abc import Iterator

from policies.compose.project import Service
from policies.compose.rule import ComposeRule
from policies.model import Found, Severity
from policies.shared.located import mapping

KEYS = ("devices", "device_cgroup_rules", "gpus")


class MAIL_CMP_010(ComposeRule):
    """A device of the host inside a container goes around every other wall: a disk can be read as raw blocks.

    No service of a mail server needs one.
    """

    name = "No device of the host: leave devices, device_cgroup_rules and gpus out"
    severity = Severity.CRITICAL
    fix = "Remove the lines"
    bad = "services:\n  nginx:\n    devices: [/dev/sda:/dev/sda]\n"
    good = "services:\n  nginx:\n    cap_drop: [ALL]\n"

    def check_service(self, service: Service) -> Iterator[Found]:
        """Look at all the ways to name one."""
        for key in KEYS:
            for item, place in service.items(key):
                device = mapping(item).get("source", item)
                yield Found(place, f"{key} gives it {device}", "leave it out", service.name)
        if "nvidia" in str(service.get("runtime")):
            yield Found(
                service.where("runtime"), "the runtime gives it devices", "leave it out", service.name
            )
        for part in ("limits", "reservations"):
            if service.get("deploy", "resources", part, "devices"):
                where = service.where("deploy", "resources", part, "devices")
                yield Found(where, f"{part} give it devices", "leave it out", service.name)


check = MAIL_CMP_010()
