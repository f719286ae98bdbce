"""Compose projects as they would run: anchors, `extends`, `include`, overrides and variables resolved."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from policies.compose import merge as compose_merge
from policies.compose.files import EXAMPLES, environment, sets_of_files
from policies.compose.load import Files
from policies.model import Place
from policies.shared import shape as compose_shape
from policies.shared.interpolation import ALTERNATIVE, REQUIRED, Variables, env_file
from policies.shared.located import Map, dig, mapping, sequence, where
from policies.shared.secrets import is_named

if TYPE_CHECKING:
    from policies.shared.repository import Repository

#: How variables are read: as the example says, or as if nobody followed it, or as if all of them were given.
EXAMPLE, DEFAULTS, ALTERNATIVES = "", "with every default", "with every alternative"
#: Where a service may run commands of its own besides the one that it is there for.
HOOKS = (("post_start",), ("pre_stop",), ("pre_start",), ("develop", "watch"))


#: Where secrets and configs of a service lie unless they say otherwise.
HANDED = {"secrets": "/run/secrets", "configs": "/"}


@dataclass(frozen=True)
class Laid:
    """One thing over a container's file system: `source` is a volume or a path, None if nobody knows."""

    kind: str
    source: Any
    target: str
    place: Place


def _path(target: Any, folder: str = "/") -> str:
    """Return a path of a container without a slash at its end; a relative one lies in `folder`."""
    text = "" if target is None else str(target).strip()
    # posixpath keeps two slashes in front; the kernel reads them as one.
    return "/" + posixpath.normpath(posixpath.join(folder, text)).lstrip("/") if text else ""


@dataclass
class Service:
    """One service of a project, in the long form of everything; `data` may have any shape a file can have."""

    name: str
    data: Map
    place: Place
    project: Project

    def get(self, *path: Any) -> Any:
        """Return a value, or None if it is not there."""
        return dig(self.data, *path)

    def where(self, *path: Any) -> Place:
        """Return the place of a value or of the nearest thing around it that exists."""
        return where(self.data, *path) if path and path[0] in self.data else self.place

    def items(self, key: str) -> Iterator[tuple[Any, Place]]:
        """Yield the entries of a list with their places."""
        node = self.data.get(key)
        places = getattr(node, "places", [])
        for number, item in enumerate(sequence(node)):
            yield (
                item,
                places[number] if isinstance(places, list) and number < len(places) else self.where(key),
            )

    def hooks(self) -> Iterator[tuple[Map, Place]]:
        """Yield the commands that run in it, or on its behalf, when it starts, stops or is developed."""
        for path in HOOKS:
            for number, item in enumerate(sequence(self.get(*path))):
                hook = item.get("exec") if isinstance(item, Map) and path[0] == "develop" else item
                if isinstance(hook, Map):
                    yield hook, self.where(*path, number)

    def laid(self) -> Iterator[Laid]:
        """Yield all that is laid over the image's files: mounts, secrets, configs, what is synchronized."""
        for item, place in self.items("volumes"):
            mount = mapping(item)
            kind = str(mount.get("type") or "volume")
            yield Laid(kind, mount.get("source"), _path(mount.get("target")), place)
        for item, place in self.items("tmpfs"):
            yield Laid("tmpfs", None, _path(str(item).partition(":")[0]), place)
        for kind, folder in HANDED.items():
            for item, place in self.items(kind):
                entry = mapping(item)
                source = self.project.file_of(kind, str(entry.get("source")))
                yield Laid(kind, source, _path(entry.get("target"), folder), place)
        for number, item in enumerate(sequence(self.get("develop", "watch"))):
            if mapping(item).get("target"):
                yield Laid("watch", None, _path(item["target"]), self.where("develop", "watch", number))

    def entries(self, *path: str) -> Iterator[tuple[str, Any, Place]]:
        """Yield the entries of a mapping with their places."""
        for name, value in mapping(self.get(*path)).items():
            yield str(name), value, self.where(*path, name)


@dataclass
class Project:
    """One set of Compose files under one reading of the variables. `title` says which, for messages."""

    title: str
    files: tuple[str, ...]
    data: Map
    services: dict[str, Service] = field(default_factory=dict)
    repository: Repository | None = field(default=None, repr=False)

    def section(self, name: str) -> dict[str, Any]:
        """Return networks, volumes, secrets or configs."""
        return {str(key): value for key, value in mapping(self.data.get(name)).items()}

    def file_of(self, section: str, name: str) -> str | None:
        """Return the file of a secret or config, relative to the repository; None if it has none."""
        file = mapping(self.section(section).get(name)).get("file")
        base = posixpath.dirname(self.title.split(" ")[0])
        return compose_shape.inside(base, file) if isinstance(file, str) else None

    def where(self, *path: Any) -> Place:
        """Return the place of a value of the project."""
        return where(self.data, *path)

    def written(self, *path: Any) -> str:
        """Return the line on which a value stands, before any variable was replaced."""
        place = self.where(*path)
        lines = self.repository.text(place.file).splitlines() if self.repository else []
        return lines[place.line - 1] if place.line <= len(lines) else ""


def _from_example(repository: Repository, path: str) -> dict[str, tuple[str, int]]:
    """Return what an env file that is not here will hold, as far as its example tells; secrets stay names."""
    folder = posixpath.dirname(path)
    known = set(repository.files)
    for name in EXAMPLES if posixpath.basename(path) == ".env" else ():
        if posixpath.join(folder, name) in known:
            values = env_file(repository.text(posixpath.join(folder, name))).items()
            return {
                name: (f"${{{name}}}" if is_named(name) and not value else value, line)
                for name, (value, line) in values
            }
    return {}


def _env_files(repository: Repository, service: Service, base: str) -> None:
    """Put what `env_file:` gives a service under its `environment:`, each with its own place."""
    environment = service.data.get("environment")
    if not isinstance(environment, Map):
        environment = Map(service.place)
    for item, place in service.items("env_file"):
        path = item.get("path") if isinstance(item, dict) else item
        target = compose_shape.inside(base, path) if isinstance(path, str) else ""
        here = target in repository.files
        found = env_file(repository.text(target)) if here else _from_example(repository, target)
        for name, (value, line) in found.items():
            if name not in environment:
                environment.put(name, value, Place(target, line) if here else place)
    if environment:
        service.data.setdefault("environment", environment)
        service.data.places.setdefault("environment", environment.place)


def _variables(repository: Repository, files: tuple[str, ...], reading: str) -> Variables:
    texts = [repository.text(file) for file in files if repository.has(file)]
    required = {name for text in texts for name in REQUIRED.findall(text)}
    given = {name for text in texts for name in ALTERNATIVE.findall(text)}
    values = environment(repository, posixpath.dirname(files[0]))
    alternatives = frozenset(given) if reading == ALTERNATIVES else frozenset()
    return Variables(values, reading == DEFAULTS, frozenset(required), alternatives)


def resolve(repository: Repository, files: tuple[str, ...], reading: str = EXAMPLE) -> Project:
    """Return the project that these files make together."""
    base = posixpath.dirname(files[0])
    variables = _variables(repository, files, reading)
    loader = Files(repository, variables)
    data = loader.load(files[0], base, variables)
    for file in files[1:]:
        data = compose_merge.merge_files(data, loader.load(file, base, variables))
    compose_merge.without_resets(data)
    title = " + ".join(files) + (f" {reading}" if reading else "")
    project = Project(title, tuple(sorted(loader.used)), data, repository=repository)
    for name, node in mapping(data.get("services")).items():
        body = node if isinstance(node, Map) else Map(data["services"].places[name])
        project.services[str(name)] = Service(str(name), body, data["services"].places[name], project)
        _env_files(repository, project.services[str(name)], base)
    return project


def projects(repository: Repository) -> list[Project]:
    """Return every project, read with the example's values, every default, and every alternative."""
    found: list[Project] = []
    included: set[str] = set()
    for files in sets_of_files(repository):
        if files[-1] in included:
            continue
        project = resolve(repository, files)
        used = [file for file in project.files if repository.has(file)]
        readings = [DEFAULTS]
        if any(ALTERNATIVE.search(repository.text(file)) for file in used):
            readings.append(ALTERNATIVES)
        found += [project, *(resolve(repository, files, reading) for reading in readings)]
        included.update(set(project.files) - set(files))
    return found
