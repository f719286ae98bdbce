from collections.abc import Iterator

from policies.dockerfile.reader import Dockerfile
from policies.dockerfile.rule import DockerfileRule
from policies.model import Found, Severity
from policies.shared import tables


class MAIL_DKR_003(DockerfileRule):
    """An image that ends as root runs as root wherever somebody forgets to say otherwise.

    Compose names the user as well, but a `docker run` while mending something at night does not. Numbers, not
    names: a name can be given to another number. The one exception is data, with its reason, in
    policies/data/services.yml.
    """

    name = "Not root at the end: close the last stage with USER uid:gid, in numbers"
    severity = Severity.HIGH
    fix = "Make a user with a fixed number and write USER 10001:10001 as the last USER of the last stage"
    bad = 'FROM debian\nUSER app\nUSER root\nCMD ["app"]\n'
    good = 'FROM debian\nUSER 10001:10001\nCMD ["app"]\n'

    def check(self, subject: Dockerfile) -> Iterator[Found]:
        """Look at the last USER of the last stage, or of the stages under it."""
        services = {service.name for service in subject.services}
        if subject.last is None or (services and all(tables.service(name).get("root") for name in services)):
            return
        users = [each for stage in subject.lineage() for each in reversed(stage.named("USER"))]
        if not users:
            yield Found(subject.last.place, "no USER is named, so it is root", "USER uid:gid", subject.file)
            return
        parts = users[0].resolved.strip("\"' ").split(":")
        if any(not part.isdigit() for part in parts):
            what = f"USER {users[0].value} is no number"
        elif any(int(part) == 0 for part in parts):
            what = f"USER {users[0].value} is root"
        elif len(parts) < 2:
            what = f"USER {users[0].value} has no group, and that is root's unless the image knows the user"
        else:
            return
        yield Found(users[0].place, what, "USER uid:gid, in numbers, neither of them 0", subject.file)


check = MAIL_DKR_003()
