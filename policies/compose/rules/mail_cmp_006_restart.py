from collections.abc import Iterator

from policies.compose.project import Service
from policies.compose.rule import ComposeRule
from policies.model import Found, Severity
from policies.shared.located import mapping
from policies.shared.units import number


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
        """Only two policies bring a service back after a reboot, and only one that runs at all."""
        restart = service.get("restart")
        if restart not in ("unless-stopped", "always"):
            what = f"restart is {restart}" if restart is not None else "there is no restart policy"
            yield Found(service.where("restart"), what, "restart: unless-stopped", service.name)
        # Compose takes this one before the other.
        policy = service.get("deploy", "restart_policy")
        if policy is not None and mapping(policy).get("condition") not in ("any", "always", "unless-stopped"):
            what = f"deploy.restart_policy.condition is {mapping(policy).get('condition')}"
            where = service.where("deploy", "restart_policy", "condition")
            yield Found(where, what, "leave deploy.restart_policy out", service.name)
        for path in (("deploy", "replicas"), ("scale",)):
            count = service.get(*path)
            if count is not None and not (number(count) or 0) >= 1:
                what = f"{'.'.join(path)} is {count}, so it never runs"
                yield Found(service.where(*path), what, "at least 1, or leave the service out", service.name)


check = MAIL_CMP_006()
