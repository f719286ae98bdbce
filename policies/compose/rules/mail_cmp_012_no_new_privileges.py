from collections.abc import Iterator

from policies.compose.project import Service
from policies.compose.rule import ComposeRule
from policies.model import Found, Severity
from policies.shared.shape import switch


class MAIL_CMP_012(ComposeRule):
    """A program with the setuid bit makes its user root, and images are full of them.

    With no-new-privileges the kernel ignores that bit, so a broken service stays the user that it is.
    """

    name = 'No new privileges: write security_opt: ["no-new-privileges:true"]'
    severity = Severity.HIGH
    fix = 'Write security_opt: ["no-new-privileges:true"]'
    bad = 'services:\n  nginx:\n    security_opt: ["no-new-privileges:false"]\n'
    good = 'services:\n  nginx:\n    security_opt: ["no-new-privileges:true"]\n'

    def check_service(self, service: Service) -> Iterator[Found]:
        """The engine takes a colon or an equals sign, and no value as true; the last word counts."""
        last = False
        for option, _ in service.items("security_opt"):
            name, _, value = str(option).replace("=", ":").partition(":")
            if name.strip() == "no-new-privileges":
                last = not value or switch(value)
        if not last:
            where = service.where("security_opt")
            yield Found(
                where, "it may gain privileges", 'security_opt: ["no-new-privileges:true"]', service.name
            )


check = MAIL_CMP_012()
