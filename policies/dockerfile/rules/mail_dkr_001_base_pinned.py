import re
from collections.abc import Iterator

from policies.dockerfile.reader import Dockerfile
from policies.dockerfile.rule import DockerfileRule
from policies.model import Found, Severity
from policies.shared.images import complaint

#: Where else files of an image come from: COPY --from=…, RUN --mount=from=…
FROM = re.compile(r"^(?:--\S+\s+)*?(?:--from=|--mount=\S*?\bfrom=)[\"']?(?P<image>[^,\s\"']+)")
SHOULD = "name:tag@sha256:digest"


class MAIL_DKR_001(DockerfileRule):
    """A base image without a digest changes under our feet: the same commit builds another image tomorrow.

    Whoever gets hold of the base's tag then runs code inside the mail server, and no diff shows it. The same
    goes for an image that files are copied from, and for the one that reads the Dockerfile (`# syntax=`).
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
        images = [(subject.syntax.value, subject.syntax.place)] if subject.syntax else []
        for number, stage in enumerate(subject.stages):
            known = {each.alias.lower() for each in subject.stages[:number] if each.alias} | subject.contexts
            named = [(stage.image, stage.place)] if stage.image != "scratch" else []
            for instruction in stage.named("COPY", "ADD", "RUN"):
                matched = FROM.match(instruction.resolved)
                named += [(matched["image"], instruction.place)] if matched else []
            images += [each for each in named if each[0].lower() not in known and not each[0].isdigit()]
        for image, place in images:
            if wrong := complaint(image):
                yield Found(place, wrong, SHOULD, f"{subject.file}/{image}")


check = MAIL_DKR_001()
