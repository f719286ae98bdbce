import json
import re
from collections.abc import Iterator

from policies.dockerfile.reader import Dockerfile
from policies.dockerfile.rule import DockerfileRule
from policies.model import Found, Severity
from policies.shared.health import asks_nothing
from policies.shared.located import mapping
from policies.shared.shape import switch

COMMAND = re.compile(r"^(?:--\S+\s+)*CMD\s+(?P<test>.*)$", re.IGNORECASE | re.DOTALL)


class MAIL_DKR_007(DockerfileRule):
    """Only the image knows how to ask its program whether it works, and start order and rollback hang on the
    answer.

    Without a healthcheck a service that hangs counts as running, and a broken deploy is never rolled back.
    """

    name = "HEALTHCHECK in the image or in Compose: write HEALTHCHECK CMD with a test that asks the service"
    severity = Severity.MEDIUM
    fix = (
        "Write HEALTHCHECK --interval=30s --timeout=10s --retries=3 --start-period=40s CMD […] into the "
        "last stage"
    )
    bad = "FROM debian\nHEALTHCHECK NONE\n"
    good = 'FROM debian\nHEALTHCHECK --interval=30s --timeout=10s CMD ["/usr/local/bin/healthcheck.sh"]\n'

    def check(self, subject: Dockerfile) -> Iterator[Found]:
        """One that is switched off or always content is worse than none; none is fine if Compose has one."""
        if subject.last is None:
            return
        checks = [each for stage in subject.lineage() for each in reversed(stage.named("HEALTHCHECK"))]
        if checks and checks[0].value.strip().upper() == "NONE":
            yield Found(checks[0].place, "the healthcheck is switched off", "HEALTHCHECK CMD …", subject.file)
        elif checks and self._empty(checks[0].value):
            yield Found(checks[0].place, "the healthcheck asks nothing", "a test that can fail", subject.file)
        elif not checks and not self._in_compose(subject):
            yield Found(subject.last.place, "there is no healthcheck", "HEALTHCHECK CMD …", subject.file)

    def _empty(self, value: str) -> bool:
        matched = COMMAND.match(value)
        test = matched["test"].strip() if matched else ""
        try:
            words = json.loads(test) if test.startswith("[") else test
        except ValueError:
            words = test
        return bool(matched) and asks_nothing(words)

    def _in_compose(self, subject: Dockerfile) -> bool:
        tests = [mapping(service.get("healthcheck")) for service in subject.services]
        return bool(tests) and all(test.get("test") and not switch(test.get("disable")) for test in tests)


check = MAIL_DKR_007()
