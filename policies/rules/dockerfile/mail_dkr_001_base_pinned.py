from collections.abc import Iterator

from policies.families import DockerfileRule
from policies.model import Found, Severity
from policies.sources.dockerfiles import Dockerfile
from policies.sources.images import complaint


class MAIL_DKR_001(DockerfileRule):
    """A base image without a digest changes under our feet: the same commit builds another image tomorrow.

    Whoever gets hold of the base's tag then runs code inside the mail server, and no diff shows it.
    """

    name = "Base image pinned by tag and digest: write FROM name:1.2.3@sha256:…"
    severity = Severity.HIGH
    fix = (
        "Look the digest up with `docker buildx imagetools inspect NAME:TAG` and write FROM NAME:TAG@sha256:…"
    )
    bad = "FROM python:3.13-slim\n"
    good = (
        "FROM "
        "python:3.13.16-slim-trixie@sha256:bf44cdfcb76cd3b41e879bc058fc37ec5872002ccfde7fcb765e218cde0cd79c\n"
    )

    def check(self, subject: Dockerfile) -> Iterator[Found]:
        """Look at every FROM that names neither an earlier stage nor `scratch`."""
        for number, stage in enumerate(subject.stages):
            earlier = {each.alias.lower() for each in subject.stages[:number] if each.alias}
            if stage.image == "scratch" or stage.image.lower() in earlier:
                continue
            if wrong := complaint(stage.image):
                yield Found(stage.place, wrong, "name:tag@sha256:digest", stage.alias or stage.image)


check = MAIL_DKR_001()
