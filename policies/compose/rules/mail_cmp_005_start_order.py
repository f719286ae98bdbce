from collections.abc import Iterator

from policies.compose.project import Service
from policies.compose.rule import ComposeRule
from policies.model import Found, Severity
from policies.shared import tables
from policies.shared.located import mapping


class MAIL_CMP_005(ComposeRule):
    """A service that starts before what it needs fails in its own way: rspamd drops the virus scanner for
    good.

    `service_started` waits for a process, not for an answer. The order is data, in
    policies/data/services.yml.
    """

    name = (
        "Start order by service_healthy: write depends_on with condition: "
        "service_healthy for all that is needed"
    )
    severity = Severity.HIGH
    fix = "Write depends_on: {NAME: {condition: service_healthy}} for each service that must answer first"
    bad = "services:\n  rspamd:\n    depends_on: [clamav]\n"
    good = "services:\n  rspamd:\n    depends_on:\n      clamav: {condition: service_healthy}\n"

    def check_service(self, service: Service) -> Iterator[Found]:
        """Look at each condition, and for what the table asks for, directly or through others."""
        needs = mapping(service.get("depends_on"))
        for other, value in needs.items():
            condition, where = mapping(value).get("condition"), service.where("depends_on", other)
            if condition not in self._conditions(service, str(other)):
                what = f"it waits for {other} to be {condition}"
                yield Found(where, what, "condition: service_healthy", service.name)
            if mapping(value).get("required", True) is not True:
                yield Found(where, f"it starts without {other} as well", "leave required out", service.name)
        reached = self._reached(service, set())
        for other in tables.service(service.name).get("after", ()):
            if other in service.project.services and other not in reached:
                what = f"it does not wait for {other}"
                yield Found(
                    service.where("depends_on"), what, f"depends_on {other}, service_healthy", service.name
                )

    def _conditions(self, service: Service, other: str) -> tuple[str, ...]:
        """A service that never ends cannot be waited for until it has ended."""
        found = service.project.services.get(other)
        ends = found is None or found.get("restart") in (None, "no", False)
        return ("service_healthy", "service_completed_successfully") if ends else ("service_healthy",)

    def _reached(self, service: Service, seen: set[str]) -> set[str]:
        for other in mapping(service.get("depends_on")):
            if str(other) not in seen:
                seen.add(str(other))
                if (next_one := service.project.services.get(str(other))) is not None:
                    self._reached(next_one, seen)
        return seen


check = MAIL_CMP_005()
