from collections.abc import Iterator

from policies.compose.project import Service
from policies.compose.rule import ComposeRule
from policies.model import Found, Severity
from policies.shared import tables


def _name(capability: object) -> str:
    return str(capability).strip().upper().removeprefix("CAP_")


class MAIL_CMP_011(ComposeRule):
    """The engine gives every container fourteen of root's powers, and none of the services needs them all.

    With them a program that was broken into can rewrite files of others, send forged packets or make device
    nodes. Those that are needed are data, in policies/data/services.yml.
    """

    name = "cap_drop: [ALL], and cap_add only what policies/data/services.yml names"
    severity = Severity.HIGH
    fix = "Write cap_drop: [ALL]; add a capability only together with its line in policies/data/services.yml"
    bad = "services:\n  nginx:\n    cap_add: [NET_ADMIN]\n"
    good = "services:\n  nginx:\n    cap_drop: [ALL]\n"

    def check_service(self, service: Service) -> Iterator[Found]:
        """Look at what is dropped, then at what comes back."""
        if "ALL" not in {str(item).strip().upper() for item, _ in service.items("cap_drop")}:
            yield Found(
                service.where("cap_drop"), "not every capability is dropped", "cap_drop: [ALL]", service.name
            )
        allowed = set(tables.service(service.name).get("capabilities", ()))
        for item, place in service.items("cap_add"):
            if _name(item) not in allowed:
                should = "none" if not allowed else "only " + ", ".join(sorted(allowed))
                yield Found(place, f"it gets the capability {item}", should, service.name)


check = MAIL_CMP_011()
