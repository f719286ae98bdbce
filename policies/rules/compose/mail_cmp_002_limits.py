from collections.abc import Iterator

from policies.families import ComposeRule
from policies.model import Found, Severity
from policies.sources.compose import Service
from policies.sources.units import number, size

#: Each limit: its name under deploy.resources.limits, its short form, and what reads it.
LIMITS = (("cpus", "cpus", number), ("memory", "mem_limit", size), ("pids", "pids_limit", number))


class MAIL_CMP_002(ComposeRule):
    """Without limits one service takes the whole host with it.

    A mail bomb that unpacks in the virus scanner, a loop in a script or a fork bomb then starves the database
    and the queue, and the engine's out-of-memory killer picks its victim by chance.
    """

    name = "Limits of CPU, memory and processes: write deploy.resources.limits with cpus, memory and pids"
    severity = Severity.HIGH
    fix = 'Write deploy: {resources: {limits: {cpus: "0.5", memory: 256M, pids: 100}}} with values that fit'
    bad = "services:\n  nginx:\n    deploy:\n      resources:\n        limits: {memory: 256M}\n"
    good = (
        "services:\n  nginx:\n    deploy:\n      resources:\n        limits: {cpus: "
        '"0.5", memory: 256M, pids: 50}\n'
    )

    def check_service(self, service: Service) -> Iterator[Found]:
        """Look for each limit in its long and its short form; nought and -1 mean no limit."""
        for name, short, read in LIMITS:
            value = service.get("deploy", "resources", "limits", name)
            path = ("deploy", "resources", "limits", name)
            if value is None:
                value, path = service.get(short), (short,)
            amount = read(value)
            if value is None:
                where = service.where("deploy", "resources", "limits")
                yield Found(where, f"no limit of {name}", f"deploy.resources.limits.{name}", service.name)
            elif amount is None or amount <= 0:
                yield Found(
                    service.where(*path), f"{value} is no limit of {name}", "more than nothing", service.name
                )


check = MAIL_CMP_002()
