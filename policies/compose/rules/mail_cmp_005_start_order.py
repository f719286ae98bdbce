"""MAIL_CMP_005: start order by service_healthy."""

from collections.abc import Iterator

from policies.compose.project import Project, Service
from policies.model import Found
from policies.shared.located import mapping

#: What may be waited for: an answer, or the end of a service that ends.
CONDITIONS = ("service_healthy", "service_completed_successfully")


def check(subject: Project) -> Iterator[Found]:
    """Look at each service."""
    for service in subject.services.values():
        yield from _service(service)


def _service(service: Service) -> Iterator[Found]:
    """Look at each condition, then for what policy.yml asks for, directly or through others."""
    for other, value, place in service.entries("depends_on"):
        entity = f"{service.name}/depends_on/{other}"
        condition = mapping(value).get("condition")
        if condition not in CONDITIONS:
            what = f"it waits for {other} to be {condition}"
            yield Found(place, what, "condition: service_healthy", entity)
        if mapping(value).get("required", True) is not True:
            yield Found(place, f"it starts without {other} as well", "no required: false", entity)
    reached = _reached(service, set())
    for other in service.project.policy.service(service.name).get("after", ()):
        if other in service.project.services and other not in reached:
            what, should = f"it does not wait for {other}", f"depends_on {other}, service_healthy"
            yield Found(service.where("depends_on"), what, should, f"{service.name}/depends_on/{other}")


def _reached(service: Service, seen: set[str]) -> set[str]:
    for other in map(str, mapping(service.get("depends_on"))):
        if other not in seen:
            seen.add(other)
            if (following := service.project.services.get(other)) is not None:
                _reached(following, seen)
    return seen
