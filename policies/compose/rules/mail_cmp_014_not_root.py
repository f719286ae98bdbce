from collections.abc import Iterator

from policies.compose.project import Service
from policies.compose.rule import ComposeRule
from policies.model import Found, Severity
from policies.shared import tables

ROOT = ("root", "toor", "wheel", "")
#: Groups that lead to root, or to everybody's files.
GROUPS = ("root", "wheel", "sudo", "docker", "podman", "lxd", "disk", "adm", "shadow", "kmem")


class MAIL_CMP_014(ComposeRule):
    """Root inside a container is root outside as soon as one wall has a hole.

    A user of its own keeps even a service that was taken over from the files of the others. The one exception
    is data, with its reason, in policies/data/services.yml.
    """

    name = "Not root: write user: with the uid and gid of the image's own user"
    severity = Severity.HIGH
    fix = 'Write user: "1000:1000" with the numbers of the image\'s own user'
    bad = "services:\n  nginx:\n    user: root\n"
    good = 'services:\n  nginx:\n    user: "101:101"\n'

    def check_service(self, service: Service) -> Iterator[Found]:
        """A service that may be root needs a reason in the table; its group must not be root's either."""
        if tables.service(service.name).get("root"):
            return
        user, where = service.get("user"), service.where("user")
        if user is None:
            yield Found(where, "no user is named, so the image decides", "user: uid:gid", service.name)
        elif wrong := self._wrong(str(user)):
            yield Found(where, f"user {user} {wrong}", "user: uid:gid, neither of them 0", service.name)
        for group, place in service.items("group_add"):
            if str(group) in GROUPS or not str(group).strip("0") or "$" in str(group):
                yield Found(place, f"it is in the group {group}", "leave it out", service.name)
        for hook, place in service.hooks():
            if "user" in hook and (wrong := self._wrong(str(hook["user"]))):
                what = f"a command beside its own has the user {hook['user']}, which {wrong}"
                yield Found(place, what, "the service's own user", service.name)

    def _wrong(self, user: str) -> str:
        parts = [part.strip() for part in user.split(":")]
        if any(part in ROOT or (part.isdigit() and int(part) == 0) for part in parts):
            return "is root"
        if not all(part.isascii() and part.isdigit() for part in parts):
            return "is a name, and the image decides whose"
        return "" if len(parts) == 2 else "has no group, and that is root's unless the image knows the user"


check = MAIL_CMP_014()
