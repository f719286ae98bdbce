from collections.abc import Iterator

from policies.families import ComposeRule
from policies.model import Found, Severity
from policies.sources.compose import Service


class MAIL_CMP_006(ComposeRule):
    """After a crash, or after the power came back, nobody is there to start the mail server by hand.

    Without a restart policy the service stays down until somebody notices that no mail arrives.
    """

    name = "Restart policy: write restart: unless-stopped"
    severity = Severity.MEDIUM
    fix = "Write restart: unless-stopped"
    bad = 'services:\n  nginx:\n    restart: "no"\n'
    good = "services:\n  nginx:\n    restart: unless-stopped\n"

    def check_service(self, service: Service) -> Iterator[Found]:
        """Only two policies bring a service back after a reboot."""
        restart = service.get("restart")
        if restart not in ("unless-stopped", "always"):
            what = f"restart is {restart}" if restart is not None else "there is no restart policy"
            yield Found(service.where("restart"), what, "restart: unless-stopped", service.name)


check = MAIL_CMP_006()
