"""Compose projects as they would run: anchors, `extends`, `include`, overrides and variables resolved."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from policies.compose.files import environment, sets_of_files
from policies.compose.load import Files
from policies.compose.merge import merge, without_resets
from policies.compose.shape import inside
from policies.model import Place
from policies.shared.interpolation import REQUIRED, Variables, env_file
from policies.shared.located import Located, Map, mapping, sequence, where
from policies.shared.policy import Policy
from policies.shared.repository import Repository

#: How variables are read: as the example says, or as if nobody followed it.
EXAMPLE, DEFAULTS = "", "with every default"
#: The hosts, where there are several.
NODES = "nodes.yml"


@dataclass
class Service(Located):
    """One service of a project, in the long form of everything; `data` may have any shape a file can have."""

    name: str
    data: Map
    place: Place
    project: Project

    def items(self, key: str) -> Iterator[tuple[Any, Place]]:
        """Yield the entries of a list with their places."""
        for number, item in enumerate(sequence(self.data.get(key))):
            yield item, self.where(key, number)

    def entries(self, *path: str) -> Iterator[tuple[str, Any, Place]]:
        """Yield the entries of a mapping with their places."""
        for name, value in mapping(self.get(*path)).items():
            yield str(name), value, self.where(*path, name)

    def mounts(self) -> Iterator[tuple[str, str | None, Place]]:
        """Yield target and source (bind mounts and configs have one) of all that is laid over the image."""
        for item, place in self.items("tmpfs"):
            yield posixpath.normpath(str(item).partition(":")[0]), None, place
        for item, place in self.items("volumes"):
            bind = mapping(item).get("type") == "bind"
            source = str(mapping(item).get("source")) if bind else None
            yield posixpath.normpath(f"/{mapping(item).get('target')}").replace("//", "/"), source, place
        for item, place in self.items("configs"):
            file = mapping(self.project.section("configs").get(str(mapping(item).get("source")))).get("file")
            source = inside(posixpath.dirname(self.project.files[0]), file) if isinstance(file, str) else None
            yield posixpath.normpath(posixpath.join("/", str(mapping(item).get("target")))), source, place


@dataclass
class Project:
    """One set of Compose files under one reading of the variables. `title` says which, for messages."""

    title: str
    files: tuple[str, ...]
    data: Map
    repository: Repository = field(repr=False)
    services: dict[str, Service] = field(default_factory=dict)
    #: Docker Swarm runs it on several hosts, not Compose on one.
    several: bool = False

    @property
    def policy(self) -> Policy:
        """What policy.yml decides."""
        return self.repository.policy

    def section(self, name: str) -> dict[str, Any]:
        """Return networks, volumes, secrets or configs."""
        return {str(key): value for key, value in mapping(self.data.get(name)).items()}

    def where(self, *path: Any) -> Place:
        """Return the place of a value of the project."""
        return where(self.data, *path)

    def written(self, place: Place) -> str:
        """Return the line at a place, before any variable was replaced."""
        lines = self.repository.text(place.file).splitlines()
        return lines[place.line - 1] if place.line <= len(lines) else ""


def _env_files(repository: Repository, service: Service, base: str) -> None:
    """Put what `env_file:` gives a service under its `environment:`, each with its own place."""
    given = service.data.get("environment")
    given = given if isinstance(given, Map) else Map(service.place)
    for item, _ in service.items("env_file"):
        path = item.get("path") if isinstance(item, dict) else item
        target = inside(base, path) if isinstance(path, str) else ""
        found = env_file(repository.text(target)) if target in repository.files else {}
        for name, (value, line) in found.items():
            if name not in given:
                given.put(name, value, Place(target, line))
    if given:
        service.data.setdefault("environment", given)
        service.data.places.setdefault("environment", given.place)


def resolve(repository: Repository, files: tuple[str, ...], reading: str = EXAMPLE) -> Project:
    """Return the project that these files make together."""
    base = posixpath.dirname(files[0])
    texts = [repository.text(file) for file in files if repository.has(file)]
    required = frozenset(name for text in texts for name in REQUIRED.findall(text))
    variables = Variables(environment(repository, base), reading == DEFAULTS, required)
    loader = Files(repository, variables)
    data = loader.load(files[0], base, variables)
    for file in files[1:]:
        data = merge(data, loader.load(file, base, variables))
    without_resets(data)
    title = " + ".join(files) + (f" {reading}" if reading else "")
    project = Project(title, tuple(sorted(loader.used)), data, repository, several=repository.has(NODES))
    for name, node in mapping(data.get("services")).items():
        place = data["services"].places[name]
        service = Service(str(name), node if isinstance(node, Map) else Map(place), place, project)
        project.services[str(name)] = service
        _env_files(repository, service, base)
    return project


def projects(repository: Repository) -> list[Project]:
    """Return every project, read with the example's values and with every default."""
    found: list[Project] = []
    included: set[str] = set()
    for files in sets_of_files(repository):
        if files[-1] not in included:
            project = resolve(repository, files)
            found += [project, resolve(repository, files, DEFAULTS)]
            included.update(set(project.files) - set(files))
    return found
