from collections.abc import Iterator

from policies.families import ComposeRule
from policies.model import Found, Severity
from policies.sources.compose import Project, Service
from policies.sources.located import mapping, sequence
from policies.sources.secrets import complaint, given, shape

COMMANDS = (("command",), ("entrypoint",), ("healthcheck", "test"))


class MAIL_CMP_017(ComposeRule):
    """What stands in the environment, a command or a healthcheck can be read with `docker inspect`, by every
    process of the container, and in every log that prints them.

    Secrets are files below /run/secrets: nothing but the service that needs one can read it, and it changes
    without a change of the Compose file. A secret in this file is in git's history for good.
    """

    name = (
        "No secret in environment, command, healthcheck, labels or build "
        "arguments: hand it over as a file in /run/secrets"
    )
    severity = Severity.CRITICAL
    fix = (
        "Hand it over as a secret: NAME_FILE: /run/secrets/name; take the "
        "value out of git's history and make a new one"
    )
    bad = "services:\n  mariadb:\n    environment:\n      MARIADB_ROOT_PASSWORD: ${MYSQL_ROOT_PASSWORD}\n"
    good = (
        "services:\n  mariadb:\n    environment:\n      "
        "MARIADB_ROOT_PASSWORD_FILE: /run/secrets/mariadb_root_password\n"
        "    secrets: [mariadb_root_password]\n"
    )

    def check(self, subject: Project) -> Iterator[Found]:
        """Look at the services, then at secrets and configs with a value in place."""
        for service in subject.services.values():
            yield from self.check_service(service)
        for section in ("secrets", "configs"):
            for name, node in subject.section(section).items():
                content = mapping(node).get("content")
                if content and (shape(str(content)) or given(str(content)) or section == "secrets"):
                    where = subject.where(section, name, "content")
                    yield Found(
                        where, f"{section} {name} holds its value", "file: a file that git ignores", name
                    )
                if section == "secrets" and mapping(node).get("environment"):
                    where = subject.where(section, name, "environment")
                    yield Found(
                        where,
                        f"secret {name} comes from the environment",
                        "file: a file that git ignores",
                        name,
                    )

    def check_service(self, service: Service) -> Iterator[Found]:
        """Look at everything that `docker inspect` or the image's history shows."""
        for path in (("environment",), ("labels",), ("build", "args"), ("build", "labels"), ("annotations",)):
            for name, value, place in service.entries(*path):
                if wrong := complaint(name, value):
                    yield Found(place, f"{name} is {wrong}", "a file in /run/secrets", service.name)
        for path in COMMANDS:
            words = " ".join(str(word) for word in sequence(service.get(*path)))
            if wrong := shape(words) or given(words):
                yield Found(
                    service.where(*path),
                    f"{'.'.join(path)} has {wrong}",
                    "a file in /run/secrets",
                    service.name,
                )


check = MAIL_CMP_017()
