from collections.abc import Iterator

from policies.families import ActionsRule
from policies.model import Found, Severity
from policies.sources.located import Map, where
from policies.sources.workflow import Workflow


class MAIL_GHA_003(ActionsRule):
    """pull_request_target runs with our secrets and a token that writes, started by anybody with a fork.

    As soon as one step touches the fork's code, its author has all of that.
    """

    name = "No pull_request_target: use pull_request, which gets no secrets from a fork"
    severity = Severity.CRITICAL
    fix = "Use pull_request; what needs rights belongs into a workflow that runs after the merge"
    bad = "on: pull_request_target\n"
    good = "on: pull_request\n"

    def check(self, subject: Workflow) -> Iterator[Found]:
        """Look at what starts the workflow."""
        for name in subject.triggers:
            if name.strip().lower() == "pull_request_target":
                on = subject.data.get("on", subject.data.get(True))
                place = where(on, name) if isinstance(on, Map) else where(subject.data, "on")
                yield Found(place, "anybody starts this with our secrets", "pull_request")


check = MAIL_GHA_003()
