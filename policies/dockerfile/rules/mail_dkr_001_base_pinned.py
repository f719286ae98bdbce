"""MAIL_DKR_001: base image pinned by tag and digest."""

import re
from collections.abc import Iterator

from policies.dockerfile.reader import Dockerfile
from policies.model import Found
from policies.shared.images import complaint

#: Where else files of an image come from: COPY --from=…, RUN --mount=from=…
FROM = re.compile(r"^(?:--\S+\s+)*?(?:--from=|--mount=\S*?\bfrom=)[\"']?(?P<image>[^,\s\"']+)")
SHOULD = "name:tag@sha256:digest"


def check(subject: Dockerfile) -> Iterator[Found]:
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
