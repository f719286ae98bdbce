import re
from collections.abc import Iterator

from policies.families import DockerfileRule
from policies.model import Found, Severity
from policies.sources.dockerfiles import Dockerfile
from policies.sources.images import complaint

#: Where else files of an image come from: COPY --from=…, RUN --mount=from=…
FROM = re.compile(r"--from=(?P<copied>\S+)|--mount=\S*?\bfrom=(?P<mounted>[^,\s]+)")


class MAIL_DKR_001(DockerfileRule):
    """A base image without a digest changes under our feet: the same commit builds another image tomorrow.

    Whoever gets hold of the base's tag then runs code inside the mail server, and no diff shows it. The same
    goes for an image that files are copied from.
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
        """Look at every FROM that names neither an earlier stage nor `scratch`, and at every --from."""
        for number, stage in enumerate(subject.stages):
            earlier = {each.alias.lower() for each in subject.stages[:number] if each.alias}
            ours = stage.image == "scratch" or stage.image.lower() in earlier
            if not ours and (wrong := complaint(stage.image)):
                yield Found(stage.place, wrong, "name:tag@sha256:digest", stage.alias or stage.image)
            for instruction in stage.named("COPY", "RUN"):
                for matched in FROM.finditer(instruction.resolved):
                    image = matched["copied"] or matched["mounted"]
                    if image.lower() in earlier or image.isdigit():
                        continue
                    if wrong := complaint(image):
                        yield Found(instruction.place, wrong, "name:tag@sha256:digest", image)


check = MAIL_DKR_001()
