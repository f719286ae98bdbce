import posixpath
import re
from collections.abc import Iterator

from policies.compose.project import Project, Service
from policies.compose.rule import ComposeRule
from policies.model import Found, Place, Severity
from policies.shared import leaks
from policies.shared.located import mapping, sequence, where
from policies.shared.secrets import given, handed_over, is_named, shape
from policies.shared.shape import inside

COMMANDS = (("command",), ("entrypoint",), ("healthcheck", "test"))
NAMES = (
    *(("environment",), ("labels",), ("annotations",), ("deploy", "labels")),
    *(("build", "args"), ("build", "labels")),
)
REFERENCE = re.compile(r"\$\{?(?P<name>\w+)")
#: A log-in on a command line: curl -u name:password, Authorization: Basic ….
LOGIN = re.compile(
    r"\b(?:curl|wget|https?)\b.*(?:\s-u|--user)[ =][\"']?(?=\S*[A-Za-z])[\w.@-]+:(?!\d+\b|\$)[^\s\"']+"
    r"|Authorization:\s*Basic\s+[A-Za-z0-9+/=]{8,}",
)
SHOULD = "a file in /run/secrets"


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
                yield from self._in_place(subject, section, name, mapping(node))

    def _in_place(self, subject: Project, section: str, name: str, node: dict) -> Iterator[Found]:
        content, variable = str(node.get("content") or ""), str(node.get("environment") or "")
        made = any(is_named(matched["name"]) for matched in REFERENCE.finditer(content))
        if content and (
            section == "secrets" or made or given(content) or leaks.in_text("config.yml", content)
        ):
            place, should = subject.where(section, name, "content"), "file: a file that git ignores"
            yield Found(place, f"{section} {name} holds its value", should, name)
        if variable and (section == "secrets" or is_named(variable)):
            place, should = subject.where(section, name, "environment"), "file: a file that git ignores"
            yield Found(place, f"{section} {name} comes from the environment", should, name)

    def check_service(self, service: Service) -> Iterator[Found]:
        """Look at everything that `docker inspect` or the image's history shows."""
        for path in NAMES:
            for name, value, place in service.entries(*path):
                if wrong := handed_over(name, value, path == ("environment",)):
                    yield Found(place, f"{name} is {wrong}", SHOULD, service.name)
        for path in COMMANDS:
            if wrong := self._said(service.get(*path)):
                yield Found(service.where(*path), f"{'.'.join(path)} has {wrong}", SHOULD, service.name)
        for hook, place in service.hooks():
            if wrong := self._said(hook.get("command")):
                yield Found(place, f"a command beside its own has {wrong}", SHOULD, service.name)
            for name, value in mapping(hook.get("environment")).items():
                if wrong := handed_over(str(name), value, True):
                    yield Found(where(hook, "environment", name), f"{name} is {wrong}", SHOULD, service.name)
        yield from self._files(service)

    def _said(self, command: object) -> str:
        words = " ".join(str(word) for word in sequence(command))
        return shape(words) or given(words) or ("a log-in on a command line" if LOGIN.search(words) else "")

    def _files(self, service: Service) -> Iterator[Found]:
        """Look at files of names and values: one that is not here may hold anything."""
        repository = service.project.repository
        base = posixpath.dirname(service.project.title.split(" ")[0])
        for key in ("env_file", "label_file"):
            for number, item in enumerate(sequence(service.get(key))):
                name = str(mapping(item).get("path") if isinstance(item, dict) else item)
                path = inside(base, name)
                if repository is None or posixpath.basename(path) == ".env":
                    continue
                if path not in repository.files:
                    what = f"{key} {name} is not in this repository, and nobody knows what it holds"
                    yield Found(service.where(key, number), what, f"environment:, and {SHOULD}", service.name)
                elif key == "label_file":
                    for line, text in enumerate(repository.text(path).splitlines(), 1):
                        label, _, value = text.strip().partition("=")
                        if wrong := handed_over(label, value, False):
                            yield Found(Place(path, line), f"{label} is {wrong}", SHOULD, service.name)


check = MAIL_CMP_017()
