from collections.abc import Iterator

from policies.families import ComposeRule
from policies.model import Found, Severity
from policies.sources.compose import Service

UNCONFINED = ("seccomp", "apparmor", "label", "systempaths")


class MAIL_CMP_007(ComposeRule):
    """A privileged container is root on the host: it sees every disk and loads kernel modules.

    Then one hole in a service that reads mail from strangers is the end of the host and of its backups.
    Switching seccomp, AppArmor or SELinux off opens most of the same doors.
    """

    name = "Not privileged: leave privileged and use_api_socket out, and seccomp and AppArmor on"
    severity = Severity.CRITICAL
    fix = (
        "Remove it; if one capability is really needed, name it in cap_add and in policies/data/services.yml"
    )
    bad = "services:\n  nginx:\n    privileged: true\n"
    good = "services:\n  nginx:\n    cap_drop: [ALL]\n"

    def check_service(self, service: Service) -> Iterator[Found]:
        """Look at the switches, at the build and at the security options."""
        for path in (("privileged",), ("use_api_socket",), ("build", "privileged")):
            if service.get(*path) not in (None, False):
                yield Found(service.where(*path), f"{'.'.join(path)} is on", "leave it out", service.name)
        for option, place in service.items("security_opt"):
            kind, _, value = str(option).replace("=", ":").partition(":")
            if kind.strip() in UNCONFINED and value.strip().lower() in ("unconfined", "disable", "false"):
                yield Found(
                    place, f"security_opt {option} switches a guard off", "leave it out", service.name
                )


check = MAIL_CMP_007()
