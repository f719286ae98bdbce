import re
from collections.abc import Iterator

from policies.families import ComposeRule
from policies.model import Found, Severity
from policies.sources.compose import Service
from policies.sources.compose_shape import switch
from policies.sources.located import sequence
from policies.sources.units import duration, number

TIMES = ("interval", "timeout", "start_period")
#: Commands that are always content.
EMPTY = re.compile(r"^\s*(?:true|:|exit(?:\s+0)?|/bin/true|/usr/bin/true|echo\b[^|;&]*)?\s*$")
#: Shells that a command may be wrapped in.
SHELL = re.compile(r"^(?:/bin/)?(?:ba|da)?sh$")
IGNORED = re.compile(r"\|\|\s*(?:true|:|exit\s+0)\s*$|;\s*(?:true|:|exit\s+0)\s*$")


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
        if self._asks_nothing(check["test"]):
            where = service.where("healthcheck", "test")
            yield Found(
                where, "the healthcheck asks nothing", "a test that fails when the service does", service.name
            )
        for name in TIMES:
            if not duration(check.get(name)):
                where = service.where("healthcheck", name)
                yield Found(
                    where,
                    f"{name} is {check.get(name, 'missing')}",
                    f"{name}: a duration such as 30s",
                    service.name,
                )
        if not (number(check.get("retries")) or 0) >= 1:
            where = service.where("healthcheck", "retries")
            yield Found(where, f"retries is {check.get('retries', 'missing')}", "retries: 3", service.name)

    def _asks_nothing(self, test: object) -> bool:
        words = [str(word) for word in sequence(test)]
        if isinstance(test, list) and words:
            kind, words = words[0], words[1:]
            if kind == "NONE":
                return True
            if kind == "CMD" and len(words) > 2 and SHELL.match(words[0]) and words[1].startswith("-"):
                words = words[2:]
        command = " ".join(words)
        return bool(EMPTY.match(command) or IGNORED.search(command))


check = MAIL_CMP_004()
