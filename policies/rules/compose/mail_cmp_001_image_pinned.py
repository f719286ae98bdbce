from collections.abc import Iterator

from policies.families import ComposeRule
from policies.model import Found, Severity
from policies.sources.compose import Service
from policies.sources.images import complaint


class MAIL_CMP_001(ComposeRule):
    """A tag can be moved to other content at any time; a digest cannot.

    Without a digest two hosts run different programs under one name, a rollback does not bring back what ran
    before, and whoever takes over the registry's account runs code on the mail server. The tag stays for
    people and for update tools.
    """

    name = "Image pinned by tag and digest: write image: name:1.2.3@sha256:…, never latest"
    severity = Severity.HIGH
    fix = "Look the digest up with `docker buildx imagetools inspect NAME:TAG` and write NAME:TAG@sha256:…"
    bad = "services:\n  nginx:\n    image: nginx:${NGINX_TAG:-latest}\n"
    good = (
        "services:\n  nginx:\n    image: "
        "nginx:1.30.5-alpine@sha256:0985e772fb9f729e6fa0980da05fca5d9c468e870eed43071545afa9d2e27d94\n"
    )

    def check_service(self, service: Service) -> Iterator[Found]:
        """Look at the image, unless the service is built here: then only the Dockerfile counts."""
        image = service.get("image")
        if image is None and service.get("build") is not None:
            return
        wrong = complaint(image)
        if wrong and not (service.get("build") is not None and "digest" in wrong):
            yield Found(service.where("image"), wrong, "name:tag@sha256:digest", service.name)


check = MAIL_CMP_001()
