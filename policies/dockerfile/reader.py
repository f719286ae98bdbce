"""Dockerfiles as instructions and stages, with build arguments resolved to their defaults."""

from __future__ import annotations

import io
import posixpath
import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from dockerfile_parse import DockerfileParser

from policies.model import Place
from policies.shared.interpolation import Variables, interpolate
from policies.shared.located import mapping
from policies.shared.repository import Repository

#: A service of a Compose project, from `repository.compose`.
Service = Any

#: Names that builders know, and nothing that is code or text about one.
NAME = re.compile(r"^(.+[._-])?(dockerfile|containerfile)([._-].*)?$", re.IGNORECASE)
NOT_ONE = (".py", ".md", ".dockerignore", ".j2", ".sh", ".yml", ".yaml", ".json", ".txt", ".hcl", ".sql")
#: A line before everything else that names the program to read it with.
DIRECTIVE = re.compile(r"\A(?:#.*\n)*?#\s*syntax\s*=\s*(?P<value>\S+)", re.IGNORECASE)

#: A here document: RUN <<EOF, COPY <<"EOF" /file.
HEREDOC = re.compile(r"^\s*(?:RUN|COPY|ADD)\b", re.IGNORECASE)
ENDING = re.compile(r"(?<!<)<<-?[\"']?(?P<end>[A-Za-z_]\w*)[\"']?")
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
    instructions: list[Instruction] = field(default_factory=list)

    def named(self, *names: str) -> list[Instruction]:
        """Return the instructions of these kinds, ONBUILD's included."""
        return [each for each in self.instructions if each.name in names]


@dataclass
class Dockerfile:
    """One Dockerfile; `services` are those that are built from it."""

    file: str
    arguments: list[Instruction] = field(default_factory=list)
    stages: list[Stage] = field(default_factory=list)
    services: list[Service] = field(default_factory=list)
    syntax: Instruction | None = None

    @property
    def contexts(self) -> set[str]:
        """The names under which Compose hands in folders and images besides the stages."""
        given = (mapping(each.get("build", "additional_contexts")) for each in self.services)
        return {str(name).lower() for names in given for name in names}

    @property
    def instructions(self) -> list[Instruction]:
        """All instructions of all stages in order."""
        return self.arguments + [each for stage in self.stages for each in stage.instructions]

    @property
    def last(self) -> Stage | None:
        """The stage that becomes the image."""
        return self.stages[-1] if self.stages else None

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
    """Return a Dockerfile whose here documents are continued lines, each on the line where it stood.

    A semicolon stands before each of them, so that what the instruction itself says ends at the first one.
    """
    lines: list[str] = []
    closing: list[str] = []
    for line in text.splitlines():
        if closing:
            last = line.strip() == closing[0]
            closing = closing[1:] if last else closing
            lines[-1] += " \\"
            lines.append(" ;" if last else "; " + line.rstrip().removesuffix("\\"))
            continue
        lines.append(line)
        if HEREDOC.match(line):
            closing = [matched["end"] for matched in ENDING.finditer(line)]
    return "\n".join(lines) + "\n"


def _learn(values: dict[str, str], variables: Variables, instruction: Instruction) -> None:
    """Add what an ARG or ENV sets."""
    for name, value in assignments(instruction.value):
        if value is not None:
            values[name] = interpolate(value, variables)


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


def _instructions(repository: Repository, file: str) -> Iterator[Instruction]:
    """Yield the instructions as they are written; ONBUILD is what it holds."""
    parser = DockerfileParser(fileobj=io.BytesIO(_without_heredocs(repository.text(file)).encode()))
    for item in parser.structure:
        name, value = item["instruction"].upper(), item["value"].strip()
        if name == "ONBUILD":
            name, _, value = value.partition(" ")
        if name != "COMMENT":
            yield Instruction(name.upper(), value.strip(), Place(file, item["startline"] + 1))


def read(repository: Repository, file: str) -> Dockerfile:
    """Return one Dockerfile; one without FROM is a problem."""
    repository.seen.add(file)
    result = Dockerfile(file)
    directive = DIRECTIVE.match(repository.text(file))
    if directive:
        line = directive.group().count("\n") + 1
        result.syntax = Instruction("SYNTAX", directive["value"], Place(file, line))
    _fill(result, _instructions(repository, file))
    if not result.stages:
        repository.problem("unreadable", Place(file), "a Dockerfile without FROM", "begin it with FROM")
    return result


def _fill(result: Dockerfile, instructions: Iterator[Instruction]) -> None:
    """Put the instructions into their stages, with arguments resolved."""
    values: dict[str, str] = {}
    variables = Variables(values)
    for each in instructions:
        instruction = replace(each, resolved=interpolate(each.value, variables))
        if instruction.name in ("ARG", "ENV"):
            _learn(values, variables, instruction)
        if instruction.name == "FROM":
            result.stages.append(_stage(instruction, values))
        elif result.stages:
            result.stages[-1].instructions.append(instruction)
        else:
            result.arguments.append(instruction)


def _stage(instruction: Instruction, values: dict[str, str]) -> Stage:
    words = instruction.value.split()
    words = [word for word in words if not word.startswith("--")]
    alias = words[2] if len(words) > 2 and words[1].lower() == "as" else ""
    image = interpolate(words[0], Variables(values)).strip("\"'") if words else ""
    return Stage(image, alias, instruction.place, [instruction])


def _is_one(file: str) -> bool:
    """Tell by its name whether a file is a Dockerfile."""
    name = posixpath.basename(file)
    return bool(NAME.match(name)) and not name.lower().endswith(NOT_ONE)


def dockerfiles(repository: Repository) -> list[Dockerfile]:
    """Return every Dockerfile: those called so, and those that a Compose file builds."""
    files = {file for file in repository.files if _is_one(file)}
    built: dict[str, list[Service]] = {}
    for project in repository.compose:
        for service in project.services.values():
            if isinstance(service.get("build"), dict):
                path = dockerfile_of(service)
                files |= {path} & set(repository.files)
                built.setdefault(path, []).append(service)
    found = [read(repository, file) for file in sorted(files)]
    for each in found:
        each.services = built.get(each.file, [])
    return found


def dockerfile_of(service: Service) -> str:
    """Return the path of the Dockerfile that a service is built by."""
    context, name = service.get("build", "context"), service.get("build", "dockerfile")
    context = context if isinstance(context, str) else ""
    return posixpath.normpath(posixpath.join(context, name if isinstance(name, str) else "Dockerfile"))
