"""Writes the compose override that puts stand-ins in the place of images, and reads what a project needs."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tools import engine
from tools.standin_images import StandinError, Table

DEFAULT_FILES = ("docker-compose.yml",)
_VARIABLE = re.compile(r"\$\{?(\w+)(?::?-([^}]*))?\}?")
_FROM = re.compile(r"^FROM\s+(?:--\S+\s+)*(?P<image>\S+)(?:\s+AS\s+(?P<stage>\S+))?\s*$", re.IGNORECASE)
_COPY_FROM = re.compile(r"--(?:mount=\S*?\bfrom|from)=(?P<image>[^\s,]+)")
_ARGUMENT = re.compile(r"^ARG\s+(\w+)=(\S+)", re.IGNORECASE)
_FRONTEND = re.compile(r"^#\s*syntax\s*=\s*(\S+)", re.IGNORECASE)


class _Loader(yaml.SafeLoader):
    """Reads compose files: their own tags (!reset, !override) do not matter here."""


_Loader.add_multi_constructor("!", lambda loader, suffix, node: None)


@dataclass(frozen=True)
class Service:
    """A service's image, or the images that its build starts from."""

    name: str
    image: str = ""
    bases: tuple[str, ...] = ()


def services(project: Path, files: Sequence[str] = DEFAULT_FILES) -> list[Service]:
    """Read the services of a project's compose files, later files over earlier ones.

    Raises:
        StandinError: if a file is missing or is not a compose file, or a build's Dockerfile is missing.
    """
    merged: dict[str, dict[str, Any]] = {}
    for name in files:
        path = project / name
        try:
            data = yaml.load(path.read_text(), _Loader)  # noqa: S506 (a SafeLoader)
            found = data["services"].items()
        except (OSError, yaml.YAMLError, TypeError, KeyError, AttributeError) as error:
            raise StandinError(f"{path} is not a readable compose file: {error}") from error
        for service, settings in found:
            merged.setdefault(service, {}).update(settings or {})
    return [_service(project, name, settings) for name, settings in merged.items()]


def _service(project: Path, name: str, settings: dict[str, Any]) -> Service:
    build = settings.get("build")
    if not build:
        return Service(name, image=substitute(str(settings.get("image", "")), {}))
    build = {"context": build} if isinstance(build, str) else build
    dockerfile = project / str(build.get("context", ".")) / str(build.get("dockerfile", "Dockerfile"))
    if not dockerfile.is_file():
        raise StandinError(f"service {name}: {dockerfile} does not exist")
    try:
        bases = base_images(dockerfile.read_text())
    except StandinError as error:
        raise StandinError(f"{dockerfile}: {error}") from error
    return Service(name, bases=tuple(bases))


def substitute(text: str, values: dict[str, str]) -> str:
    """Put values, else the defaults that stand there, in the place of ``$NAME`` and ``${NAME:-default}``."""
    return _VARIABLE.sub(lambda match: values.get(match[1], match[2] or ""), text)


def base_images(dockerfile: str) -> list[str]:
    """The images that a Dockerfile takes from outside, each written exactly as it stands there.

    Raises:
        StandinError: if it asks for a frontend image, which only a registry could give.
    """
    stages: set[str] = set()
    arguments: dict[str, str] = {}
    found: dict[str, None] = {}
    for line in dockerfile.replace("\\\n", " ").splitlines():
        if frontend := _FRONTEND.match(line):
            raise StandinError(
                f"'# syntax={frontend[1]}' asks for an image that has no stand-in; remove that line"
            )
        if argument := _ARGUMENT.match(line):
            arguments.setdefault(argument[1], argument[2])
        elif origin := _FROM.match(line):
            image = substitute(origin["image"], arguments)
            if image.lower() not in stages and image != "scratch":
                found[image] = None
            if origin["stage"]:
                stages.add(origin["stage"].lower())
        elif line.upper().startswith(("COPY", "ADD", "RUN")):
            names = [substitute(name, arguments) for name in _COPY_FROM.findall(line)]
            found.update({name: None for name in names if name.lower() not in stages and not name.isdigit()})
    return list(found)


def wanted_images(project: Path, files: Sequence[str], table: Table) -> list[str]:
    """Every upstream image that the services need, without those that are left alone."""
    needed: dict[str, None] = {}
    for service in services(project, files):
        for reference in service.bases or (service.image,):
            if table.find(reference):
                needed[reference] = None
    return list(needed)


def override_for(found: Iterable[Service], table: Table) -> dict[str, Any]:
    """The override as data: each service's stand-in, or its build's base images.

    Raises:
        StandinError: if an image has no stand-in.
    """
    result: dict[str, Any] = {}
    for service in found:
        if service.bases:
            contexts = {
                reference: f"docker-image://{table.built_tag(image)}"
                for reference in service.bases
                if (image := table.find(reference))
            }
            result[service.name] = {"build": {"additional_contexts": contexts}}
        elif image := table.find(service.image):
            result[service.name] = {"image": table.built_tag(image), "pull_policy": "never"}
    return {"services": result}


def override(
    compose_project_dir: Path,
    files: Sequence[str] = DEFAULT_FILES,
    *,
    output: Path | None = None,
    table: Table | None = None,
) -> Path:
    """Write the override file for a project and return its path; pass it to compose with a last ``-f``.

    Args:
        compose_project_dir: the folder of the compose files. Nothing is written into it.
        files: the compose files that will be used together.
        output: where to write; default is a file in the cache folder, one for each project and set of files.
        table: which stand-ins; default is the repository's own table.

    Raises:
        StandinError: if a file cannot be read or an image has no stand-in.
    """
    project = compose_project_dir.resolve()
    content = override_for(services(project, files), table or Table())
    if output is None:
        key = hashlib.sha256("\0".join([str(project), *files]).encode()).hexdigest()[:8]
        output = engine.cache_folder() / f"standins-{project.name}-{key}.yml"
    text = yaml.safe_dump(content, sort_keys=False, width=1000)
    output.write_text(
        "# Stand-ins in the place of images that no registry could give. Made by tools.standins.\n" + text
    )
    return output
