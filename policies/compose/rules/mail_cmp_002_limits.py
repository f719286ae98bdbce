from collections.abc import Iterator

from policies.compose.project import Service
from policies.compose.rule import ComposeRule
from policies.model import Found, Severity
from policies.shared.units import number, size

#: Each limit: its name under deploy.resources.limits, its short form, and what reads it.
LIMITS = (("cpus", "cpus", number), ("memory", "mem_limit", size), ("pids", "pids_limit", number))
#: As many as a kernel has numbers for, unless it is told otherwise.
EVERY_PROCESS = 32768


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
            paths = [("deploy", "resources", "limits", name), (short,)]
            written = [path for path in paths if service.get(*path) is not None]
            if not written:
                where = service.where("deploy", "resources", "limits")
                yield Found(where, f"no limit of {name}", f"deploy.resources.limits.{name}", service.name)
            for path in written:
                value = service.get(*path)
                amount = read(value)
                if amount is None or amount <= 0 or (name == "pids" and amount >= EVERY_PROCESS):
                    what = f"{value} is no limit of {name}"
                    yield Found(service.where(*path), what, "more than nothing", service.name)
        if number(service.get("memswap_limit")) == -1:
            where = service.where("memswap_limit")
            yield Found(where, "it may swap without end", "leave memswap_limit out", service.name)
        if service.get("oom_kill_disable") not in (None, False):
            where = service.where("oom_kill_disable")
            yield Found(
                where, "nothing enforces its limit of memory", "leave oom_kill_disable out", service.name
            )


check = MAIL_CMP_002()
