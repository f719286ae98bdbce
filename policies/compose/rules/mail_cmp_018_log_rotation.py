from collections.abc import Iterator

from policies.compose.project import Service
from policies.compose.rule import ComposeRule
from policies.model import Found, Severity
from policies.shared.units import number, size

ROTATING = ("json-file", "local")
MOST = 1 << 30


class MAIL_CMP_018(ComposeRule):
    """Docker keeps every line of a container's log for ever unless it is told otherwise.

    A service that complains once a second fills the disk within weeks, and a full disk stops the queue.
    """

    name = "Log rotation: write logging with max-size and max-file"
    severity = Severity.MEDIUM
    fix = 'Write logging: {driver: json-file, options: {max-size: 10m, max-file: "5"}}'
    bad = "services:\n  nginx:\n    logging:\n      driver: json-file\n"
    good = (
        "services:\n  nginx:\n    logging:\n      driver: json-file\n      options:\n    "
        '    max-size: 10m\n        max-file: "5"\n'
    )

    def check_service(self, service: Service) -> Iterator[Found]:
        """Both options must bound the log, to a gigabyte together."""
        driver = service.get("logging", "driver")
        where = service.where("logging", "driver")
        if service.get("logging") is None:
            yield Found(
                where, "its log grows without end", "logging with max-size and max-file", service.name
            )
            return
        if driver not in (None, *ROTATING):
            yield Found(where, f"the log driver is {driver}", "driver: json-file", service.name)
            return
        each = size(service.get("logging", "options", "max-size"))
        count = number(service.get("logging", "options", "max-file"))
        if not each or not count or count < 1:
            where = service.where("logging", "options")
            yield Found(
                where, "its log grows without end", 'options: {max-size: 10m, max-file: "5"}', service.name
            )
        elif each * count > MOST:
            where = service.where("logging", "options", "max-size")
            yield Found(
                where,
                "its log may grow to more than 1 GiB",
                "max-size times max-file below 1 GiB",
                service.name,
            )


check = MAIL_CMP_018()
