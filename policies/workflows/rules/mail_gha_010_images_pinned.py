import re
from collections.abc import Iterator
from typing import Any

from policies.model import Found, Place, Severity
from policies.shared.located import List, mapping, where
from policies.workflows.reader import Workflow
from policies.workflows.rule import ActionsRule

DIGEST = re.compile(r"[^@\s]+@sha256:[0-9a-f]{64}")


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
                if image is not None and not DIGEST.fullmatch(str(image)):
                    yield Found(place, f"{image} has no digest", "name:tag@sha256:…", job.name)

    def _images(self, data: Any) -> Iterator[tuple[Any, Place]]:
        container = data.get("container")
        if isinstance(container, dict):
            yield container.get("image"), where(data, "container", "image")
        else:
            yield container, where(data, "container")
        services = data.get("services")
        entries = enumerate(services) if isinstance(services, List) else mapping(services).items()
        for name, service in entries:
            image = service.get("image") if isinstance(service, dict) else service
            yield image, where(data, "services", name, "image")
        # Without docker:// it is a Dockerfile of the action's own folder.
        own = data.get("image")
        if isinstance(own, str) and own.strip().lower().startswith("docker://"):
            yield own, where(data, "image")


check = MAIL_GHA_010()
