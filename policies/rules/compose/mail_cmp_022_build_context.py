import re
from collections.abc import Iterator

from policies.families import ComposeRule
from policies.model import Found, Severity
from policies.sources.compose import Service

REMOTE = re.compile(r"://|^git@|^[\w.-]+\.git(?:#|$)|^github\.com/")
PINNED_IMAGE = re.compile(r"^docker-image://\S+@sha256:[0-9a-f]{64}$")


class MAIL_CMP_022(ComposeRule):
    """What is built must be what was reviewed: the files of this repository at this commit.

    A context on the internet can change between two builds, and a Dockerfile in place or from outside is seen
    by no other rule.
    """

    name = "Build contexts inside this repository: write build: ./folder with a Dockerfile in it"
    severity = Severity.HIGH
    fix = "Put the files into a folder of this repository and write build: ./folder"
    bad = "services:\n  postfix:\n    build: https://github.com/example/postfix.git#main\n"
    good = "services:\n  postfix:\n    build: ./postfix\n"

    def check_service(self, service: Service) -> Iterator[Found]:
        """Look at the context, at further contexts and at a Dockerfile in place."""
        context = service.get("build", "context")
        if isinstance(context, str) and self._outside(context):
            where = (
                service.where("build", "context")
                if isinstance(service.get("build"), dict)
                else service.where("build")
            )
            yield Found(where, f"it is built from {context}", "a folder of this repository", service.name)
        if service.get("build", "dockerfile_inline") is not None:
            where = service.where("build", "dockerfile_inline")
            yield Found(
                where, "its Dockerfile stands in the Compose file", "a file called Dockerfile", service.name
            )
        if str(service.get("build", "dockerfile") or "").startswith(("/", "..")):
            where = service.where("build", "dockerfile")
            yield Found(
                where,
                f"its Dockerfile is {service.get('build', 'dockerfile')}",
                "one inside the context",
                service.name,
            )
        for name, value, place in service.entries("build", "additional_contexts"):
            if self._outside(str(value)) and not PINNED_IMAGE.match(str(value)):
                yield Found(
                    place,
                    f"the context {name} is {value}",
                    "a folder here, or docker-image://…@sha256:…",
                    service.name,
                )

    def _outside(self, context: str) -> bool:
        return bool(REMOTE.search(context)) or context.startswith(("/", "~", "..", "$"))


check = MAIL_CMP_022()
