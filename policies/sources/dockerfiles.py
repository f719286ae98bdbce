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
    from policies.sources.compose import Service
    from policies.sources.repository import Repository

#: Names that builders know, and nothing that is code or text about one.
NAME = re.compile(
    r"^(.+\.)?(dockerfile|containerfile)(\.(?!py$|md$|dockerignore$|j2$)[^.]+)*$", re.IGNORECASE
)

#: A here document: RUN <<EOF, COPY <<"EOF" /file.
HEREDOC = re.compile(r"^\s*(?:RUN|COPY|ADD)\b.*?<<-?[\"']?(?P<end>\w+)[\"']?", re.IGNORECASE)
#: ENV NAME value, without an equals sign.
OLD_FORM = re.compile(r"^(?P<name>[\w.-]+)[ \t]+(?P<value>[^=\s].*)$")
WORD = re.compile(r"(?:\"(?:\\.|[^\"\\])*\"|'[^']*'|\\.|[^\s\"'])+")


@dataclass(frozen=True)
class Instruction:
    """One instruction: its upper-case name, its value with continuation lines joined, its first line.

    `resolved` is the value with build arguments and environment replaced by what is known of them.
    """

    name: str
    value: str
    place: Place
    resolved: str = ""


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
    """One Dockerfile; `context` is the folder it lies in, `services` are those that are built from it."""

    file: str
    context: str
    arguments: list[Instruction] = field(default_factory=list)
    stages: list[Stage] = field(default_factory=list)
    services: list[Service] = field(default_factory=list)

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

    def lineage(self) -> list[Stage]:
        """Return the last stage, the stage that it is built on, and so on down to the first one."""
        found: list[Stage] = []
        stage = self.last
        while stage is not None and stage not in found:
            found.append(stage)
            earlier = self.stages[: self.stages.index(stage)]
            stage = next((each for each in earlier if each.alias.lower() == stage.image.lower()), None)
        return found


def _without_heredocs(text: str) -> str:
    """Return a Dockerfile whose here documents are continued lines, each on the line where it stood."""
    lines, closing = [], ""
    for line in text.splitlines():
        if closing:
            if line.strip() == closing:
                closing = ""
                lines.append("")
            else:
                lines[-1] += " \\"
                lines.append(f"{line.rstrip().removesuffix(chr(92))} ;" if line.strip() else ";")
            continue
        lines.append(line)
        matched = HEREDOC.match(line)
        closing = matched["end"] if matched else ""
    return "\n".join(lines) + "\n"


def _learn(values: dict[str, str], instruction: Instruction) -> None:
    """Add what an ARG or ENV sets."""
    for name, value in assignments(instruction.value):
        if value is not None:
            values[name] = interpolate(value, Variables(values))


def assignments(text: str) -> list[tuple[str, str | None]]:
    """Return what an ARG, ENV or LABEL sets; a name without a value has None."""
    matched = OLD_FORM.match(text)
    if matched:
        return [(matched["name"], matched["value"].strip("\"'"))]
    pairs = []
    for word in WORD.findall(text):
        name, sign, value = word.partition("=")
        pairs.append((name.strip("\"'"), value.strip("\"'") if sign else None))
    return pairs


def read(repository: Repository, file: str) -> Dockerfile:
    """Return one Dockerfile; one without FROM is a problem."""
    repository.seen.add(file)
    result = Dockerfile(file, posixpath.dirname(file))
    values: dict[str, str] = {}
    parser = DockerfileParser(fileobj=io.BytesIO(_without_heredocs(repository.text(file)).encode()))
    for item in parser.structure:
        place = Place(file, item["startline"] + 1)
        name, value = item["instruction"].upper(), item["value"]
        if name == "COMMENT":
            continue
        if name == "ONBUILD":
            name, _, value = value.strip().partition(" ")
            name = name.upper()
        instruction = Instruction(name, value.strip(), place, interpolate(value.strip(), Variables(values)))
        if name in ("ARG", "ENV"):
            _learn(values, instruction)
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
    built: dict[str, list[Service]] = {}
    for project in repository.compose:
        for service in project.services.values():
            context, name = service.get("build", "context"), service.get("build", "dockerfile")
            if isinstance(context, str):
                path = posixpath.normpath(
                    posixpath.join(context, name if isinstance(name, str) else "Dockerfile")
                )
                files |= {path} & set(repository.files)
                built.setdefault(path, []).append(service)
    found = [read(repository, file) for file in sorted(files)]
    for each in found:
        each.services = built.get(each.file, [])
    return found
