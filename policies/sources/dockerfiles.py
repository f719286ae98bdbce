"""Dockerfiles as instructions and stages, with build arguments resolved to their defaults."""

from __future__ import annotations

import io
import posixpath
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from dockerfile_parse import DockerfileParser

from policies.model import Place
from policies.sources.interpolation import Variables, interpolate

if TYPE_CHECKING:
    from policies.sources.repository import Repository

#: Names that builders know, and nothing that is code or text about one.
NAME = re.compile(
    r"^(.+\.)?(dockerfile|containerfile)(\.(?!py$|md$|dockerignore$|j2$)[^.]+)*$", re.IGNORECASE
)


@dataclass(frozen=True)
class Instruction:
    """One instruction: its upper-case name, its value with continuation lines joined, its first line."""

    name: str
    value: str
    place: Place


@dataclass
class Stage:
    """One FROM with what follows it. `image` has arguments resolved; `alias` is the name after AS."""

    image: str
    alias: str
    place: Place
    platform: str = ""
    instructions: list[Instruction] = field(default_factory=list)

    def named(self, *names: str) -> list[Instruction]:
        """Return the instructions of these kinds, ONBUILD's included."""
        return [each for each in self.instructions if each.name in names]


@dataclass
class Dockerfile:
    """One Dockerfile; `context` is the folder it lies in."""

    file: str
    context: str
    arguments: list[Instruction] = field(default_factory=list)
    stages: list[Stage] = field(default_factory=list)

    @property
    def instructions(self) -> list[Instruction]:
        """All instructions of all stages in order."""
        return self.arguments + [each for stage in self.stages for each in stage.instructions]

    @property
    def last(self) -> Stage | None:
        """The stage that becomes the image."""
        return self.stages[-1] if self.stages else None

    def stage(self, alias: str) -> Stage | None:
        """Return a stage by its alias or number."""
        for number, stage in enumerate(self.stages):
            if alias and alias.lower() in (stage.alias.lower(), str(number)):
                return stage
        return None


def read(repository: Repository, file: str) -> Dockerfile:
    """Return one Dockerfile; one without FROM is a problem."""
    repository.seen.add(file)
    result = Dockerfile(file, posixpath.dirname(file))
    values: dict[str, str] = {}
    parser = DockerfileParser(fileobj=io.BytesIO(repository.text(file).encode()))
    for item in parser.structure:
        place = Place(file, item["startline"] + 1)
        instruction = Instruction(item["instruction"].upper(), item["value"], place)
        if instruction.name == "ONBUILD":
            name, _, value = instruction.value.partition(" ")
            instruction = Instruction(name.upper(), value.strip(), place)
        if instruction.name == "COMMENT":
            continue
        if instruction.name == "ARG":
            for word in instruction.value.split():
                name, _, value = word.partition("=")
                values[name] = interpolate(value.strip("\"'"), Variables(values))
        if instruction.name == "FROM":
            words = instruction.value.split()
            flags = [word for word in words if word.startswith("--")]
            words = [word for word in words if not word.startswith("--")]
            alias = words[2] if len(words) > 2 and words[1].lower() == "as" else ""
            image = interpolate(words[0], Variables(values)).strip("\"'") if words else ""
            result.stages.append(Stage(image, alias, place, "".join(flags), [instruction]))
        elif result.stages:
            result.stages[-1].instructions.append(instruction)
        else:
            result.arguments.append(instruction)
    if not result.stages:
        repository.problem("unreadable", Place(file), "a Dockerfile without FROM", "begin it with FROM")
    return result


def dockerfiles(repository: Repository) -> list[Dockerfile]:
    """Return every Dockerfile: those called so, and those that a Compose file builds."""
    files = {file for file in repository.files if NAME.search(posixpath.basename(file))}
    for project in repository.compose:
        for service in project.services.values():
            context, name = service.get("build", "context"), service.get("build", "dockerfile")
            if isinstance(context, str) and isinstance(name, str):
                path = posixpath.normpath(posixpath.join(context, name))
                files |= {path} & set(repository.files)
    return [read(repository, file) for file in sorted(files)]
