"""MAIL_DKR_003: not root at the end."""

from collections.abc import Iterator

from policies.dockerfile.reader import Dockerfile
from policies.model import Found


def check(subject: Dockerfile) -> Iterator[Found]:
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
