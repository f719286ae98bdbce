"""MAIL_CMP_017: no secret in environment, command, healthcheck, labels or build arguments."""

import posixpath
import re
from collections.abc import Iterator

from policies.compose.project import Project, Service
from policies.model import Found
from policies.shared.located import mapping, sequence
from policies.shared.secrets import given, handed_over, is_named, shape

COMMANDS = (("command",), ("entrypoint",), ("healthcheck", "test"))
NAMES = (
    *(("environment",), ("labels",), ("annotations",), ("deploy", "labels")),
    *(("build", "args"), ("build", "labels")),
)
#: A log-in on a command line: curl -u name:password, Authorization: Basic ….
LOGIN = re.compile(
    r"\b(?:curl|wget|https?)\b.*(?:\s-u|--user)[ =][\"']?(?=\S*[A-Za-z])[\w.@-]+:(?!\d+\b|\$)[^\s\"']+"
    r"|Authorization:\s*Basic\s+[A-Za-z0-9+/=]{8,}"
)
SHOULD = "a file in /run/secrets"


def check(subject: Project) -> Iterator[Found]:
    """Look at the services, then at secrets and configs with a value in place."""
    for service in subject.services.values():
        yield from _service(service)
    for section in ("secrets", "configs"):
        for name, node in subject.section(section).items():
            for key in ("content", "environment"):
                value = str(mapping(node).get(key) or "")
                reference = key == "environment" and is_named(value)
                if value and (section == "secrets" or reference or shape(value) or given(value)):
                    place, entity = subject.where(section, name, key), f"{section}/{name}/{key}"
                    yield Found(place, f"{section} {name} has its value in {key}", f"file: {SHOULD}", entity)


def _service(service: Service) -> Iterator[Found]:
    """Look at everything that `docker inspect` or the image's history shows."""
    for path in NAMES:
        for name, value, place in service.entries(*path):
            if wrong := handed_over(name, value, path == ("environment",)):
                yield Found(place, f"{name} is {wrong}", SHOULD, f"{service.name}/{path[-1]}/{name}")
    for path in COMMANDS:
        words = " ".join(map(str, sequence(service.get(*path))))
        login = "a log-in on a command line" if LOGIN.search(words) else ""
        if wrong := shape(words) or given(words) or login:
            what = f"{'.'.join(path)} has {wrong}"
            yield Found(service.where(*path), what, SHOULD, f"{service.name}/{path[-1]}")
    for item, place in service.items("env_file"):
        name = str(mapping(item).get("path") if isinstance(item, dict) else item)
        if posixpath.basename(name) == ".env" or name not in service.project.repository.files:
            what = f"env_file {name} may hold any secret"
            yield Found(place, what, f"environment:, and {SHOULD}", f"{service.name}/env_file/{name}")
