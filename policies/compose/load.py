"""The files of one project with `include`, `extends` and variables resolved, laid over each other."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from policies.compose import shape as compose_shape
from policies.compose.files import environment
from policies.compose.merge import SERVICE, merge
from policies.model import Place
from policies.shared.interpolation import Variables, interpolated
from policies.shared.located import Map, copied, mapping, sequence, where
from policies.shared.repository import Repository

SECTIONS = ("networks", "volumes", "secrets", "configs")
REMOTE = ("oci:", "git@", "github.com/", "$")


def is_remote(path: Any) -> bool:
    """Tell whether what a Compose file names is no file of this repository."""
    return not isinstance(path, str) or "://" in path or path.startswith(REMOTE)


class Files:
    """Loads the files of one project under one reading of the variables; `used` has those that were read."""

    def __init__(self, repository: Repository, variables: Variables) -> None:
        self.repository, self.variables = repository, variables
        self.used: set[str] = set()

    def load(self, file: str, base: str, variables: Variables, open_files: tuple[Place, ...] = ()) -> Map:
        """Return one file; `base` is what its paths start from, `open_files` are the lines that led here."""
        result = Map(Place(file))
        if not self._there(file, open_files):
            return result
        self.used.add(file)
        for document in self.repository.yaml(file):
            if not isinstance(document, Map):
                if document is not None:
                    what = "a Compose file is a mapping"
                    self._cannot(Place(file), what, "write services: and its services")
                continue
            document = interpolated(document, variables)
            for included in self._includes(document, base, variables, open_files):
                result = merge(result, included)
            services = document.get("services")
            if isinstance(services, Map):
                for name in list(services):
                    services[name] = self._extended(services, name, file, base, ())
            _shaped(document, base)
            result = merge(result, document)
        return result

    def _there(self, file: str, open_files: tuple[Place, ...]) -> bool:
        place = open_files[-1] if open_files else Place(file)
        if file in {each.file for each in open_files}:
            self._cannot(Place(file), "it includes itself", "break the circle")
        elif not self.repository.has(file):
            self._cannot(place, f"there is no file {file}", "name one that exists")
        else:
            return True
        return False

    def _cannot(self, place: Place, what: str, fix: str) -> None:
        self.repository.problem("not-looked-at", place, what, fix)

    def _includes(
        self, document: Map, base: str, variables: Variables, open_files: tuple[Place, ...]
    ) -> Iterator[Map]:
        included = document.get("include")
        for number, item in enumerate([included] if isinstance(included, Map) else sequence(included)):
            place = where(document, "include", number)
            paths = sequence(item.get("path")) if isinstance(item, dict) else [item]
            merged, inner = None, None
            for path in paths:
                if is_remote(path):
                    what = f"include: {path} is not a file of this repository"
                    self._cannot(place, what, "include a file of this repository")
                    continue
                target = compose_shape.inside(base, path)
                if inner is None:
                    inner = self._folder(item, base, target)
                    own = replace(variables, values=self._values(item, base, inner) | dict(variables.values))
                loaded = self.load(target, inner, own, (*open_files, place))
                merged = loaded if merged is None else merge(merged, loaded)
            if merged is not None:
                yield merged

    def _folder(self, item: Any, base: str, first: str) -> str:
        folder = item.get("project_directory") if isinstance(item, dict) else None
        return compose_shape.inside(base, folder) if isinstance(folder, str) else posixpath.dirname(first)

    def _values(self, item: Any, base: str, inner: str) -> dict[str, str]:
        """Return the variables of an included file's own env files; those of the project go before them."""
        listed = sequence(item.get("env_file")) if isinstance(item, dict) else []
        found = {} if listed else environment(self.repository, inner)
        for name in listed:
            found |= environment(self.repository, base, str(name))
        return found

    def _extended(self, services: Map, name: Any, file: str, base: str, chain: tuple[Any, ...]) -> Any:
        """Return one service with what it extends underneath."""
        node = services.get(name)
        if not isinstance(node, Map):
            return node
        node = compose_shape.service(copied(node), base)
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
        under_services: Any = services
        if isinstance(other, str):
            file = other if is_remote(other) else compose_shape.inside(base, other)
            base, under_services = posixpath.dirname(file), self._services_of(file, place)
        named = isinstance(under_services, Map) and not isinstance(wanted, (dict, list))
        if not named or wanted not in under_services:
            what = f"extends: there is no service {wanted} in {file}"
            self._cannot(place, what, "name a service that exists in this repository")
            return node
        under = self._extended(under_services, wanted, file, base, chain)
        return merge(under, node, SERVICE) if isinstance(under, Map) else node

    def _services_of(self, file: str, place: Place) -> Any:
        if is_remote(file) or not self.repository.has(file):
            return None
        self.used.add(file)
        result = Map(place)
        for document in self.repository.yaml(file):
            if isinstance(document, Map) and isinstance(document.get("services"), Map):
                result = merge(result, interpolated(document, self.variables))
        return result.get("services")


def _shaped(document: Map, base: str) -> None:
    """Turn what stands beside the services into the long form, in place."""
    for section in SECTIONS:
        for entry in mapping(document.get(section)).values():
            for key in ("labels", "driver_opts"):
                if isinstance(entry, Map) and key in entry:
                    entry[key] = compose_shape.named(entry[key])
