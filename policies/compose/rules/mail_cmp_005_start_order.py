from collections.abc import Iterator

from policies.compose.project import Service
from policies.compose.rule import ComposeRule
from policies.model import Found, Severity
from policies.shared.located import mapping

#: What may be waited for: an answer, or the end of a service that ends.
CONDITIONS = ("service_healthy", "service_completed_successfully")


class MAIL_CMP_005(ComposeRule):
    """A service that starts before what it needs fails in its own way: rspamd drops the virus scanner.

    `service_started` waits for a process, not for an answer. The order is data, in policy.yml.
    """

    name = "Start order by service_healthy: write depends_on with that condition for all that is needed"
    severity = Severity.HIGH
    fix = "Write depends_on: {NAME: {condition: service_healthy}} for each service that must answer first"
    bad = "services:\n  rspamd:\n    depends_on: [clamav]\n"
    good = "services:\n  rspamd:\n    depends_on:\n      clamav: {condition: service_healthy}\n"

    def check_service(self, service: Service) -> Iterator[Found]:
        """Look at each condition, then for what policy.yml asks for, directly or through others."""
        for other, value, place in service.entries("depends_on"):
            entity = f"{service.name}/depends_on/{other}"
            condition = mapping(value).get("condition")
            if condition not in CONDITIONS:
                what = f"it waits for {other} to be {condition}"
                yield Found(place, what, "condition: service_healthy", entity)
            if mapping(value).get("required", True) is not True:
                yield Found(place, f"it starts without {other} as well", "leave required out", entity)
        reached = self._reached(service, set())
        for other in service.project.policy.service(service.name).get("after", ()):
            if other in service.project.services and other not in reached:
                what, should = f"it does not wait for {other}", f"depends_on {other}, service_healthy"
                yield Found(service.where("depends_on"), what, should, f"{service.name}/depends_on/{other}")

    def _reached(self, service: Service, seen: set[str]) -> set[str]:
        for other in map(str, mapping(service.get("depends_on"))):
            if other not in seen:
                seen.add(other)
                if (following := service.project.services.get(other)) is not None:
                    self._reached(following, seen)
        return seen


check = MAIL_CMP_005()
