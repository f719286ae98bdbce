import posixpath
import re
from collections.abc import Iterator

from policies.compose.project import Service
from policies.compose.rule import ComposeRule
from policies.model import Found, Severity
from policies.shared.located import sequence

REMOTE = re.compile(r"://|^[\w.-]+@[\w.-]+:|^[\w.-]+\.git(?:#|$)|^github\.com/")
PINNED_IMAGE = re.compile(r"^docker-image://\S+@sha256:[0-9a-f]{64}$")

#: What makes a build depend on more than this repository.
BORROWED = {
    "ssh": "may use the keys of whoever builds",
    "extra_hosts": "is told other addresses for names",
    "cache_from": "takes finished layers from elsewhere",
}

#: Caches that only this project's own builds write.
OWN_CACHES = ("type=local", "type=gha")


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
        yield from self._dockerfile(service)
        yield from self._borrowed(service)
        for name, value, place in service.entries("build", "additional_contexts"):
            if self._outside(str(value)) and not PINNED_IMAGE.match(str(value)):
                yield Found(
                    place,
                    f"the context {name} is {value}",
                    "a folder here, or docker-image://…@sha256:…",
                    service.name,
                )

    def _dockerfile(self, service: Service) -> Iterator[Found]:
        """What it is built by must be a file here: one that is not was seen by nobody."""
        build = service.get("build")
        context, name = (
            service.get("build", "context"),
            str(service.get("build", "dockerfile") or "Dockerfile"),
        )
        where = service.where("build", "dockerfile") if isinstance(build, dict) else service.where("build")
        if posixpath.normpath(name).startswith(("/", "..", "$")):
            yield Found(where, f"its Dockerfile is {name}", "one inside the context", service.name)
            return
        if (
            build is None
            or self._outside(str(context))
            or service.get("build", "dockerfile_inline") is not None
        ):
            return
        path = posixpath.normpath(posixpath.join(str(context or "."), name))
        repository = service.project.repository
        if repository is not None and path not in repository.files:
            yield Found(
                where, f"there is no {path} in this repository", "a Dockerfile that git knows", service.name
            )

    def _borrowed(self, service: Service) -> Iterator[Found]:
        """Look at what else reaches into the build."""
        for key, what in BORROWED.items():
            value = service.get("build", key)
            items = [str(each) for each in sequence(value)] or [str(value)]
            if value and not all(each.startswith(OWN_CACHES) for each in items):
                where = service.where("build", key)
                yield Found(where, f"its build {what}", f"leave build.{key} out", service.name)

    def _outside(self, context: str) -> bool:
        return bool(REMOTE.search(context)) or context.startswith(("/", "~", "..", "$"))


check = MAIL_CMP_022()
