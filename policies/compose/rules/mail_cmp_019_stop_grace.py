from collections.abc import Iterator

from policies.compose.project import Service
from policies.compose.rule import ComposeRule
from policies.model import Found, Severity
from policies.shared import tables
from policies.shared.units import duration

LEAST = 10
#: Signals that kill at once, or that nobody takes as a request to stop.
USELESS = ("KILL", "9", "STOP", "19", "CONT", "18", "CHLD", "17", "0")


class MAIL_CMP_019(ComposeRule):
    """After the grace period the engine kills the service where it stands.

    A database in the middle of a page then has to repair itself, and a delivery that was under way is made
    twice. The default is ten seconds; how long each service needs is data, in policies/data/services.yml.
    """

    name = "Stop grace period: write stop_grace_period: 30s, and longer where the table asks for it"
    severity = Severity.MEDIUM
    fix = (
        "Write stop_grace_period: with at least the seconds of "
        "policies/data/services.yml; stop_signal stays SIGTERM"
    )
    bad = "services:\n  mariadb:\n    stop_grace_period: 1s\n"
    good = "services:\n  mariadb:\n    stop_grace_period: 120s\n"

    def check_service(self, service: Service) -> Iterator[Found]:
        """Look at the time and at the signal."""
        least = tables.service(service.name).get("stop_grace", LEAST)
        value = service.get("stop_grace_period")
        if (duration(value) or 0) < least:
            what = f"stop_grace_period is {value}" if value is not None else "there is no stop_grace_period"
            yield Found(service.where("stop_grace_period"), what, f"at least {least}s", service.name)
        signal = str(service.get("stop_signal") or "").upper().removeprefix("SIG")
        if signal in USELESS or "$" in signal:
            what = (
                f"stop_signal is {service.get('stop_signal')}, so nothing asks it to stop before it is killed"
            )
            yield Found(service.where("stop_signal"), what, "leave stop_signal out", service.name)


check = MAIL_CMP_019()
