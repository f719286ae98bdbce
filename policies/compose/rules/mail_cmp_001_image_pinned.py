from collections.abc import Iterator

from policies.compose.project import Service
from policies.compose.rule import ComposeRule
from policies.model import Found, Severity
from policies.shared.images import complaint
from policies.shared.located import mapping

#: With these, an image that is built here is never pulled.
BUILT = ("build", "never")


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
        """Look at the image; one that is built here has no digest yet, and then the Dockerfile counts."""
        image, built = service.get("image"), service.get("build") is not None
        if (image is not None or not built) and (wrong := complaint(image)):
            if not built:
                yield Found(service.where("image"), wrong, "name:tag@sha256:digest", service.name)
            elif service.get("pull_policy") not in BUILT:
                # Compose asks the registry for the name first, and builds only if nobody has taken it there.
                what = f"{wrong}, and may be pulled although it is built here"
                yield Found(service.where("image"), what, "no image, or pull_policy: build", service.name)
        yield from self._others(service)

    def _others(self, service: Service) -> Iterator[Found]:
        """Look at the images that bring files or a command before the start."""
        for item, place in service.items("volumes"):
            if mapping(item).get("type") == "image" and (wrong := complaint(mapping(item).get("source"))):
                yield Found(place, wrong, "name:tag@sha256:digest", service.name)
        for hook, place in service.hooks():
            if "image" in hook and (wrong := complaint(hook["image"])):
                yield Found(place, wrong, "name:tag@sha256:digest", service.name)


check = MAIL_CMP_001()
