import re
from collections.abc import Iterator

from policies.dockerfile.reader import Dockerfile, assignments
from policies.dockerfile.rule import DockerfileRule
from policies.model import Found, Severity
from policies.shared.images import complaint

#: Where else files of an image come from: COPY --from=…, RUN --mount=from=…
COPIED = re.compile(r"^(?:--\S+\s+)*--from=[\"']?(?P<image>[^\s\"']+)")
MOUNTED = re.compile(r"--mount=\S*?[\"']?\bfrom=(?P<image>[^,\s\"']+)")
#: The argument that names the program which reads the Dockerfile, as `# syntax=` does.
SYNTAX = "BUILDKIT_SYNTAX"
SHOULD = "name:tag@sha256:digest"


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
            known = earlier | subject.contexts
            ours = stage.image == "scratch" or stage.image.lower() in known
            if not ours and (wrong := complaint(stage.image)):
                yield Found(stage.place, wrong, SHOULD, stage.alias or stage.image)
            for instruction in stage.named("COPY", "ADD", "RUN"):
                pattern = MOUNTED if instruction.name == "RUN" else COPIED
                for matched in pattern.finditer(instruction.resolved):
                    image = matched["image"]
                    if image.lower() in known or image.isdigit():
                        continue
                    if wrong := complaint(image):
                        yield Found(instruction.place, wrong, SHOULD, image)
        yield from self._reader(subject)

    def _reader(self, subject: Dockerfile) -> Iterator[Found]:
        """The program that reads the Dockerfile is an image as well, and it decides what each line does."""
        readers = [(subject.syntax.place, subject.syntax.value)] if subject.syntax else []
        for instruction in subject.instructions:
            if instruction.name == "ARG":
                named = dict(assignments(instruction.value)).get(SYNTAX)
                readers += [(instruction.place, named)] if named else []
        if SYNTAX in subject.given:
            readers += [
                (service.where("build", "args", SYNTAX), subject.given[SYNTAX])
                for service in subject.services
            ]
        for place, image in readers:
            if wrong := complaint(image):
                yield Found(place, f"it is read by an image that is not pinned: {wrong}", SHOULD, image)


check = MAIL_DKR_001()
