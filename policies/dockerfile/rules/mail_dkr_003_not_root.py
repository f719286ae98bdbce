from collections.abc import Iterator

from policies.dockerfile.reader import Dockerfile
from policies.dockerfile.rule import DockerfileRule
from policies.model import Found, Severity


class MAIL_DKR_003(DockerfileRule):
    """An image that ends as root runs as root wherever somebody forgets to say otherwise.

    Compose names the user as well, but a `docker run` while fixing something at night does not. Numbers, not
    names: a name can be given to another number. The one exception has its reason in policy.yml.
    """

    name = "Not root at the end: close the last stage with USER uid:gid, in numbers"
    severity = Severity.HIGH
    fix = "Make a user with a fixed number and write USER 10001:10001 as the last USER of the last stage"
    bad = 'FROM debian\nUSER app\nUSER root\nCMD ["app"]\n'
    good = 'FROM debian\nUSER 10001:10001\nCMD ["app"]\n'

    def check(self, subject: Dockerfile) -> Iterator[Found]:
        """Look at the last USER of the last stage, or of the stages under it."""
        roots = [service.project.policy.service(service.name).get("root") for service in subject.services]
        if subject.last is None or (roots and all(roots)):
            return
        users = [each for stage in subject.lineage() for each in reversed(stage.named("USER"))]
        parts = users[0].resolved.strip("\"' ").split(":") if users else []
        if len(parts) != 2 or not all(part.isdigit() and int(part) for part in parts):
            what = f"USER is {users[0].value}" if users else "no USER is named, so it is root"
            place = users[0].place if users else subject.last.place
            yield Found(place, what, "USER uid:gid, in numbers, neither of them 0", f"{subject.file}/USER")


check = MAIL_DKR_003()
