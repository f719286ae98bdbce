from collections.abc import Iterator

from policies.compose.project import Service
from policies.compose.rule import ComposeRule
from policies.model import Found, Severity
from policies.shared import tables


class MAIL_CMP_020(ComposeRule):
    """The first process of a container gets no default action for signals, and it inherits every orphan.

    Without an init a service ignores the request to stop and is killed after the grace period, and dead
    children pile up until the limit of processes is reached. Images that bring their own init are named in
    the table.
    """

    name = "An init as the first process: write init: true"
    severity = Severity.MEDIUM
    fix = "Write init: true; if the image brings its own init, say so in policies/data/services.yml"
    bad = "services:\n  nginx:\n    init: false\n"
    good = "services:\n  nginx:\n    init: true\n"

    def check_service(self, service: Service) -> Iterator[Found]:
        """One init is enough, and two are one too many."""
        own = tables.service(service.name).get("init")
        if service.get("init") is not True and not own:
            yield Found(service.where("init"), "nothing passes signals on", "init: true", service.name)
        elif service.get("init") is True and own:
            yield Found(service.where("init"), f"two inits: {own}", "init: false", service.name)


check = MAIL_CMP_020()
