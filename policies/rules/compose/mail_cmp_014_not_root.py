from collections.abc import Iterator

from policies.families import ComposeRule
from policies.model import Found, Severity
from policies.sources import tables
from policies.sources.compose import Service

ROOT = ("0", "root", "")


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
        user = service.get("user")
        if user is None:
            yield Found(
                service.where("user"), "no user is named, so the image decides", "user: uid:gid", service.name
            )
        elif any(part.strip().lstrip("0") == "" or part.strip() in ROOT for part in str(user).split(":")):
            yield Found(
                service.where("user"),
                f"user {user} is root",
                "user: uid:gid, neither of them 0",
                service.name,
            )
        for group, place in service.items("group_add"):
            if str(group) in ("0", "root", "docker"):
                yield Found(place, f"it is in the group {group}", "leave it out", service.name)


check = MAIL_CMP_014()
