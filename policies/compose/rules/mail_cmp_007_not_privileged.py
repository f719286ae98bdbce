import json
import posixpath
import re
from collections.abc import Iterator

from policies.compose.project import Service
from policies.compose.rule import ComposeRule
from policies.model import Found, Severity
from policies.shared.located import mapping, sequence
from policies.shared.shape import inside

#: What may stand in security_opt; whether new privileges are barred is the next rule's.
HARMLESS = re.compile(
    r"^no-new-privileges\b|^seccomp:(?:builtin|default)$|^apparmor:docker-default$|^label:(?:level|user|role):",
    re.IGNORECASE,
)

#: What a seccomp profile does with calls that it does not name.
REFUSING = ("SCMP_ACT_ERRNO", "SCMP_ACT_KILL", "SCMP_ACT_KILL_PROCESS", "SCMP_ACT_KILL_THREAD")


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
        for hook, place in service.hooks():
            if hook.get("privileged") not in (None, False):
                yield Found(place, "a command beside its own is privileged", "leave it out", service.name)
        for option, place in service.items("security_opt"):
            text = str(option).strip().replace("=", ":", 1)
            if not HARMLESS.match(text) and not self._strict(service, text):
                off = text.lower().endswith((":unconfined", ":disable", ":false"))
                what = f"security_opt {option} " + (
                    "switches a guard off" if off else "replaces a guard by another"
                )
                yield Found(place, what, "leave it out", service.name)
        for number, item in enumerate(sequence(service.get("build", "entitlements"))):
            place = service.where("build", "entitlements", number)
            yield Found(place, f"its build may do {item}", "leave it out", service.name)

    def _strict(self, service: Service, option: str) -> bool:
        """Tell whether it names a seccomp profile of this repository that refuses what it does not name."""
        kind, _, file = option.partition(":")
        repository = service.project.repository
        path = inside(posixpath.dirname(service.project.files[0]), file.strip())
        if kind.strip() != "seccomp" or repository is None or path not in repository.files:
            return False
        try:
            profile = json.loads(repository.text(path))
        except (ValueError, RecursionError):
            return False
        return mapping(profile).get("defaultAction") in REFUSING


check = MAIL_CMP_007()
