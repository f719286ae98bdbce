"""Compose projects as they would run: anchors, `extends`, `include`, overrides and variables resolved."""

from __future__ import annotations

import copy
import posixpath
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from policies.model import Place
from policies.sources import compose_merge, compose_shape
from policies.sources.interpolation import REQUIRED, Variables, env_file, interpolated
from policies.sources.located import Map, dig, mapping, sequence, where

if TYPE_CHECKING:
    from policies.sources.repository import Repository

YAML = ("*.yml", "*.yaml")
#: The names that Compose takes without being told, the preferred one first, and what it lays over them.
MAIN = ("compose.yaml", "compose.yml", "docker-compose.yaml", "docker-compose.yml")
OVERRIDE = tuple(name.replace(".", ".override.", 1) for name in MAIN)
COMPOSE_NAME = re.compile(r"^(docker-)?compose([.-].*)?\.ya?ml$|\.compose\.ya?ml$")
EXAMPLES = (".env", ".env.example", ".env.sample", ".env.template", "env.example")
SECTIONS = ("services", "networks", "volumes", "secrets", "configs")


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

    def where(self, *path: Any) -> Place:
        """Return the place of a value of the project."""
        return where(self.data, *path)

    def written(self, *path: Any) -> str:
        """Return the line on which a value stands, before any variable was replaced."""
        place = self.where(*path)
        lines = self.repository.text(place.file).splitlines() if self.repository else []
        return lines[place.line - 1] if place.line <= len(lines) else ""


class _Files:
    """Loads the files of one project under one reading of the variables."""

    def __init__(self, repository: Repository, variables: Variables) -> None:
        self.repository, self.variables = repository, variables
        self.used: set[str] = set()

    def load(self, file: str, base: str, open_files: tuple[str, ...] = ()) -> Map:
        """Return one file with its includes and `extends` resolved; `base` is what its paths start from."""
        result = Map(Place(file))
        if file in open_files:
            self._cannot(Place(file), "it includes itself", "break the circle")
            return result
        if not self.repository.has(file):
            self._cannot(
                Place(open_files[-1] if open_files else file),
                f"there is no file {file}",
                "name one that exists",
            )
            return result
        self.used.add(file)
        for document in self.repository.yaml(file):
            if not isinstance(document, Map):
                if document is not None:
                    self._cannot(
                        Place(file), "a Compose file is a mapping", "write services: and its services"
                    )
                continue
            document = interpolated(document, self.variables)
            for included in self._includes(document, base, (*open_files, file)):
                result = compose_merge.merge_files(result, included)
            services = document.get("services")
            if isinstance(services, Map):
                for name in list(services):
                    services[name] = self._extended(services, name, file, base, ())
            for section in SECTIONS[1:]:
                for entry in mapping(document.get(section)).values():
                    for key in ("labels", "driver_opts"):
                        if isinstance(entry, Map) and key in entry:
                            entry[key] = compose_shape.named(entry[key])
            result = compose_merge.merge_files(result, document)
        return result

    def _cannot(self, place: Place, what: str, fix: str) -> None:
        self.repository.problem("not-looked-at", place, what, fix)

    def _includes(self, document: Map, base: str, open_files: tuple[str, ...]) -> Iterator[Map]:
        for number, item in enumerate(sequence(document.get("include"))):
            place = where(document, "include", number)
            paths = sequence(item.get("path")) if isinstance(item, dict) else [item]
            folder = item.get("project_directory") if isinstance(item, dict) else None
            first, merged = None, None
            for path in paths:
                if not isinstance(path, str) or "://" in path or path.startswith(("oci:", "git@", "$")):
                    self._cannot(
                        place,
                        f"include: {path} is not a file of this repository",
                        "include a file of this repository",
                    )
                    continue
                target = compose_shape.inside(base, path)
                first = first or posixpath.dirname(target)
                inner = compose_shape.inside(base, folder) if isinstance(folder, str) else first
                loaded = self.load(target, inner, open_files)
                merged = loaded if merged is None else compose_merge.merge_files(merged, loaded)
            if merged is not None:
                yield merged

    def _extended(self, services: Map, name: Any, file: str, base: str, chain: tuple[Any, ...]) -> Any:
        """Return one service with what it extends underneath."""
        node = services.get(name)
        if not isinstance(node, Map):
            return node
        node = compose_shape.service(copy.deepcopy(node), base)
        extends = node.get("extends")
        if extends is None:
            return node
        place = node.places["extends"]
        other = extends.get("file") if isinstance(extends, dict) else None
        wanted = extends.get("service") if isinstance(extends, dict) else extends
        if (file, name) in chain:
            self._cannot(place, f"the service {name} extends itself", "break the circle")
            return node
        chain = (*chain, (file, name))
        if isinstance(other, str):
            target = compose_shape.inside(base, other)
            base, under_services, file = posixpath.dirname(target), self._services_of(target, place), target
        else:
            under_services = services
        named = isinstance(under_services, Map) and not isinstance(wanted, (dict, list))
        if not named or wanted not in under_services:
            self._cannot(
                place, f"extends: there is no service {wanted} in {file}", "name a service that exists"
            )
            return node
        under = self._extended(under_services, wanted, file, base, chain)
        return compose_merge.merge(under, node) if isinstance(under, Map) else node

    def _services_of(self, file: str, place: Place) -> Any:
        if not self.repository.has(file):
            self._cannot(place, f"there is no file {file}", "name one that exists")
            return None
        self.used.add(file)
        for document in self.repository.yaml(file):
            if isinstance(document, Map) and isinstance(document.get("services"), Map):
                return interpolated(document["services"], self.variables)
        return None


def _environment(repository: Repository, folder: str) -> dict[str, str]:
    """Return the variables of the env file that belongs to a folder's project."""
    known = set(repository.files)
    for name in EXAMPLES:
        path = posixpath.join(folder, name)
        if path in known:
            return {key: value for key, (value, _) in env_file(repository.text(path)).items()}
    return {}


def _env_files(repository: Repository, service: Service, base: str) -> None:
    """Put what `env_file:` gives a service under its `environment:`, each with its own place."""
    environment = service.data.get("environment")
    if not isinstance(environment, Map):
        environment = Map(service.place)
    for item, _ in service.items("env_file"):
        path = item.get("path") if isinstance(item, dict) else item
        target = compose_shape.inside(base, path) if isinstance(path, str) else ""
        if target and target in repository.files:
            for name, (value, line) in env_file(repository.text(target)).items():
                if name not in environment:
                    environment.put(name, value, Place(target, line))
    if environment:
        service.data.setdefault("environment", environment)
        service.data.places.setdefault("environment", environment.place)


def resolve(repository: Repository, files: tuple[str, ...], defaults_first: bool = False) -> Project:
    """Return the project that these files make together."""
    base = posixpath.dirname(files[0])
    required = {name for file in files for name in REQUIRED.findall(repository.text(file))}
    variables = Variables(_environment(repository, base), defaults_first, frozenset(required))
    loader = _Files(repository, variables)
    data = loader.load(files[0], base)
    for file in files[1:]:
        data = compose_merge.merge_files(data, loader.load(file, base))
    compose_merge.without_resets(data)
    title = " + ".join(files) + (" with every default" if defaults_first else "")
    project = Project(title, tuple(sorted(loader.used)), data, repository=repository)
    for name, node in mapping(data.get("services")).items():
        body = node if isinstance(node, Map) else Map(data["services"].places[name])
        project.services[str(name)] = Service(str(name), body, data["services"].places[name], project)
        _env_files(repository, project.services[str(name)], base)
    return project


def _is_compose(repository: Repository, file: str) -> bool:
    """Tell by name or content whether a YAML file is a Compose file."""
    name = posixpath.basename(file)
    if file.startswith(".github/"):
        return False
    if COMPOSE_NAME.match(name):
        return True
    text = repository.text(file)
    return bool(re.search(r"^(?:services|\"services\"|'services')\s*:", text, re.MULTILINE))


def sets_of_files(repository: Repository) -> Iterator[tuple[str, ...]]:
    """Yield the files of every project: a folder's main file alone, and under each other file beside it."""
    folders: dict[str, list[str]] = {}
    for file in repository.matching(*YAML):
        if _is_compose(repository, file):
            folders.setdefault(posixpath.dirname(file), []).append(file)
    for folder, files in folders.items():
        beside = {posixpath.basename(file): file for file in files}
        main = next((beside[name] for name in MAIN if name in beside), None)
        named = [
            compose_shape.inside(folder, part)
            for part in _environment(repository, folder).get("COMPOSE_FILE", "").split(":")
            if part
        ]
        first = tuple(name for name in named if name in repository.files)
        if not first and main:
            first = (main, *(beside[name] for name in OVERRIDE if name in beside))
        if first:
            yield first
        for file in files:
            if file not in first:
                yield (*first, file) if first else (file,)


def projects(repository: Repository) -> list[Project]:
    """Return every project, each read with the example's values and with every default."""
    found: list[Project] = []
    included: set[str] = set()
    for files in sets_of_files(repository):
        if files[-1] in included:
            continue
        for defaults_first in (False, True):
            project = resolve(repository, files, defaults_first)
            included.update(set(project.files) - set(files))
            found.append(project)
    return found
