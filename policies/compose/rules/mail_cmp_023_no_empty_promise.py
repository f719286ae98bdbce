from collections.abc import Iterator

from policies.compose.project import Service
from policies.compose.rule import ComposeRule
from policies.model import Found, Severity
from policies.shared.located import mapping

#: Keys below `deploy` that only Swarm obeys, and what brings about what they promise.
SWARM_ONLY = {
    "update_config": "make deploy, which waits and rolls back",
    "rollback_config": "make deploy, which waits and rolls back",
    "endpoint_mode": "networks",
    "placement": "one host",
}


class MAIL_CMP_023(ComposeRule):
    """Compose reads some keys that only Swarm obeys, and says nothing: `failure_action: rollback` rolls back
    nothing.

    Whoever finds it in the file relies on it, and learns on the day of a bad deploy that nobody held it.
    """

    name = "No promise that Compose does not keep: leave deploy.update_config and its like out"
    severity = Severity.MEDIUM
    fix = "Take the key out; a deploy that goes wrong is rolled back by the deployment, not by Compose"
    bad = "services:\n  nginx:\n    deploy:\n      update_config: {failure_action: rollback}\n"
    good = "services:\n  nginx:\n    deploy:\n      resources: {limits: {memory: 128M}}\n"

    def check_service(self, service: Service) -> Iterator[Found]:
        """Look for the keys, and for the mode that means every node of a swarm."""
        deploy = mapping(service.get("deploy"))
        for key, instead in SWARM_ONLY.items():
            if deploy.get(key) is not None:
                what = f"Compose ignores deploy.{key}"
                yield Found(service.where("deploy", key), what, f"without it: {instead}", service.name)
        if str(deploy.get("mode") or "replicated").startswith("global"):
            what = "deploy.mode global means every node of a swarm"
            yield Found(service.where("deploy", "mode"), what, "without it: one host", service.name)


check = MAIL_CMP_023()
