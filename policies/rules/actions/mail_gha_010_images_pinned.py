import re
from collections.abc import Iterator
from typing import Any

from policies.families import ActionsRule
from policies.model import Found, Place, Severity
from policies.sources.located import mapping, where
from policies.sources.workflow import Workflow

DIGEST = re.compile(r"@sha256:[0-9a-f]{64}$")


class MAIL_GHA_010(ActionsRule):
    """A job in a container runs whatever the tag points to today, beside our code and our token.

    The same goes for its services, and for an action that is an image.
    """

    name = "Images of jobs pinned: container, services and docker actions with @sha256:…"
    severity = Severity.HIGH
    fix = "Add the digest to the image: name:tag@sha256:…"
    bad = "jobs:\n  test:\n    container: debian:13\n"
    good = "jobs:\n  test:\n    container: debian:13@sha256:" + "0" * 64 + "\n"

    def check(self, subject: Workflow) -> Iterator[Found]:
        """Look at containers, services and the image of an action."""
        for job in subject.jobs():
            for image, place in self._images(job.data):
                if image is not None and image != "Dockerfile" and not DIGEST.search(str(image)):
                    yield Found(place, f"{image} has no digest", "name:tag@sha256:…", job.name)

    def _images(self, data: Any) -> Iterator[tuple[Any, Place]]:
        container = data.get("container")
        if isinstance(container, dict):
            yield container.get("image"), where(data, "container", "image")
        else:
            yield container, where(data, "container")
        for name, service in mapping(data.get("services")).items():
            yield mapping(service).get("image"), where(data, "services", name, "image")
        yield data.get("image"), where(data, "image")


check = MAIL_GHA_010()
