from collections.abc import Iterator

from policies.compose.project import Service
from policies.compose.rule import ComposeRule
from policies.model import Found, Severity
from policies.shared.health import asks_nothing
from policies.shared.shape import switch
from policies.shared.units import duration, number

#: Each time, and the seconds beyond which nobody notices anything in time.
TIMES = {"interval": 300, "timeout": 120, "start_period": 3600}
MOST_RETRIES = 20
KINDS = ("CMD", "CMD-SHELL", "NONE")


class MAIL_CMP_004(ComposeRule):
    """Nobody notices a service that hangs unless somebody asks it; start order and rollback hang on the
    answer.

    Without a start period a slow start counts as failure, without a timeout a hanging check counts as
    nothing, and a check that is always content lets a broken deploy through.
    """

    name = (
        "Healthcheck with interval, timeout, retries and start_period: write a test that "
        "really asks the service"
    )
    severity = Severity.HIGH
    fix = "Write healthcheck: with a test that asks the service for what it is there for, and all four times"
    bad = 'services:\n  nginx:\n    healthcheck:\n      test: [CMD, "true"]\n'
    good = (
        "services:\n  nginx:\n    healthcheck:\n      test: [CMD, curl, -fsS, http://127.0.0.1/healthz]\n"
        "      interval: 30s\n      timeout: 10s\n      retries: 3\n      start_period: 40s\n"
    )

    def check_service(self, service: Service) -> Iterator[Found]:
        """Look at the test first, then at the times."""
        check = service.get("healthcheck")
        if not isinstance(check, dict) or switch(check.get("disable")) or not check.get("test"):
            yield Found(
                service.where("healthcheck"),
                "there is no healthcheck",
                "a healthcheck with a test",
                service.name,
            )
            return
        if asks_nothing(check["test"]):
            where = service.where("healthcheck", "test")
            should = "a test that fails when the service does"
            yield Found(where, "the healthcheck asks nothing", should, service.name)
        if isinstance(check["test"], list) and check["test"][0] not in KINDS:
            where, should = service.where("healthcheck", "test"), "CMD or CMD-SHELL in front"
            yield Found(where, f"the test begins with {check['test'][0]}", should, service.name)
        for name, most in TIMES.items():
            seconds = duration(check.get(name))
            if not seconds or seconds > most:
                where, what = service.where("healthcheck", name), f"{name} is {check.get(name, 'missing')}"
                yield Found(where, what, f"{name}: a duration such as 30s, {most}s at most", service.name)
        if not 1 <= (number(check.get("retries")) or 0) <= MOST_RETRIES:
            where = service.where("healthcheck", "retries")
            yield Found(where, f"retries is {check.get('retries', 'missing')}", "retries: 3", service.name)


check = MAIL_CMP_004()
