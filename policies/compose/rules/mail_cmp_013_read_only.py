from collections.abc import Iterator

from policies.compose.project import Service
from policies.compose.rule import ComposeRule
from policies.model import Found, Severity
from policies.shared.located import mapping


class MAIL_CMP_013(ComposeRule):
    """Whoever breaks into a service wants to leave something behind: a changed program, a script, a back
    door.

    On a read-only root file system there is nowhere to put it, and a restart is a clean start. What must be
    written has a volume or a tmpfs of its own.
    """

    name = "Read-only root file system: write read_only: true, and tmpfs for what must be written"
    severity = Severity.HIGH
    fix = "Write read_only: true, and name each writable folder under tmpfs or volumes"
    bad = "services:\n  nginx:\n    read_only: false\n"
    good = "services:\n  nginx:\n    read_only: true\n    tmpfs: [/tmp]\n"

    def check_service(self, service: Service) -> Iterator[Found]:
        """Nothing but true will do, and no tmpfs over the whole root."""
        if service.get("read_only") is not True:
            yield Found(
                service.where("read_only"),
                "its root file system can be written",
                "read_only: true",
                service.name,
            )
        memory = [(str(item).partition(":")[0], place) for item, place in service.items("tmpfs")]
        for item, place in service.items("volumes"):
            if mapping(item).get("type") == "tmpfs":
                memory.append((str(mapping(item).get("target")), place))
        for target, place in memory:
            if target.strip("/. ") == "":
                yield Found(
                    place, "a tmpfs takes the place of the root", "a tmpfs for each folder", service.name
                )


check = MAIL_CMP_013()
