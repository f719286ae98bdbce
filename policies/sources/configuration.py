"""The services' configuration files, each parsed by its own grammar, with lines kept."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from fnmatch import fnmatch
from functools import cached_property
from typing import TYPE_CHECKING

from policies.model import Place
from policies.sources import braces, tables
from policies.sources.braces import Block
from policies.sources.located import Unreadable

if TYPE_CHECKING:
    from policies.sources.repository import Repository

MAIN, MASTER = "config/postfix/main.cf", "config/postfix/master.cf"
ASSIGNED = re.compile(r"^\s*\$config\[['\"](?P<name>\w+)['\"]\]\s*=\s*(?P<value>.*?);?\s*$")


@dataclass
class Settings:
    """A flat file of names and values: the last one wins, as the services read it."""

    file: str
    values: dict[str, str] = field(default_factory=dict)
    places: dict[str, Place] = field(default_factory=dict)

    def get(self, name: str, default: str = "") -> str:
        """Return a value as text."""
        return self.values.get(name, default)

    def put(self, name: str, value: str, line: int) -> None:
        """Set a value together with its line."""
        self.values[name], self.places[name] = value, Place(self.file, line)

    def where(self, name: str) -> Place:
        """Return the place of a setting, or the head of the file if it is not set."""
        return self.places.get(name, Place(self.file))

    def expanded(self, name: str, default: str = "", depth: int = 10) -> str:
        """Return a value with the $names in it replaced, as Postfix does."""
        return self.expand(self.get(name, default), depth)

    def expand(self, text: str, depth: int = 10) -> str:
        """Return a text with the $names in it replaced."""
        if not depth:
            return text
        pattern = r"\$(?:\{(\w+)\}|\((\w+)\)|(\w+))"
        return re.sub(pattern, lambda m: self.expanded(m[1] or m[2] or m[3], depth=depth - 1), text)

    def words(self, name: str, default: str = "") -> list[str]:
        """Return an expanded value split at commas and spaces."""
        return split(self.expanded(name, default))


@dataclass(frozen=True)
class Process:
    """One line of master.cf; `options` are its -o settings with their places."""

    name: str
    kind: str
    command: str
    place: Place
    options: dict[str, tuple[str, Place]]


def split(text: str) -> list[str]:
    """Return a list of Postfix: words with commas or spaces between them."""
    return [word for word in re.split(r"[,\s]+", text) if word]


def logical_lines(text: str) -> Iterator[tuple[str, list[tuple[str, int]]]]:
    """Yield Postfix's logical lines: joined, and as parts with their line numbers."""
    parts: list[tuple[str, int]] = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        if line[0].isspace() and parts:
            parts.append((line.strip(), number))
            continue
        if parts:
            yield " ".join(part for part, _ in parts), parts
        parts = [(line.strip(), number)]
    if parts:
        yield " ".join(part for part, _ in parts), parts


def parameters(text: str, file: str) -> Settings:
    """Return a file like main.cf."""
    result = Settings(file)
    for line, parts in logical_lines(text):
        name, _, value = line.partition("=")
        result.put(name.strip(), value.strip(), parts[0][1])
    return result


def processes(text: str, file: str) -> list[Process]:
    """Return master.cf."""
    found = []
    for line, parts in logical_lines(text):
        words = line.split()
        if len(words) < 8:
            continue
        options: dict[str, tuple[str, Place]] = {}
        for part, number in parts:
            for name, value in re.findall(r"-o\s+\{?\s*(\w+)\s*=\s*([^\s}]*)", part):
                options[name] = (value, Place(file, number))
        found.append(Process(words[0], words[1], words[7], Place(file, parts[0][1]), options))
    return found


def words_file(text: str, file: str) -> Settings:
    """Return a file of `Name value` lines, such as clamd.conf or valkey.conf; names in lower case."""
    result = Settings(file)
    for number, line in enumerate(text.splitlines(), 1):
        name, _, value = line.strip().partition(" ")
        if name and not name.startswith("#"):
            result.put(name.lower(), value.strip().strip('"'), number)
    return result


def ini(text: str, file: str) -> Settings:
    """Return an ini file without sections; names in lower case with dashes, a bare name has the value 1."""
    result = Settings(file)
    for number, line in enumerate(text.splitlines(), 1):
        line = line.split(" #", 1)[0].strip()
        if line and line[0] not in "#;[":
            name, sign, value = line.partition("=")
            result.put(name.strip().lower().replace("_", "-"), value.strip() if sign else "1", number)
    return result


def php(text: str, file: str) -> Settings:
    """Return the assignments to $config that stand on one line."""
    result = Settings(file)
    for number, line in enumerate(text.splitlines(), 1):
        if matched := ASSIGNED.match(line):
            result.put(matched["name"], matched["value"], number)
    return result


class Configuration:
    """All configuration files of one repository; what a repository does not have is None or empty."""

    def __init__(self, repository: Repository) -> None:
        self.repository = repository
        self._blocks: dict[str, Block | None] = {}

    @cached_property
    def kinds(self) -> dict[str, str]:
        """The kind of each file below config/, as policies/data/configuration.yml names it."""
        found = {}
        for file in self.repository.matching("config/*"):
            kind = next(
                (kind for pattern, kind in tables.table("configuration").items() if fnmatch(file, pattern)),
                None,
            )
            if kind:
                found[file] = kind
        return found

    @property
    def known(self) -> set[str]:
        """The files below config/ whose kind is known."""
        return set(self.kinds)

    def files(self, kind: str, folder: str = "config/") -> list[str]:
        """Return the files of a kind below a folder."""
        return [file for file, its in self.kinds.items() if its == kind and file.startswith(folder)]

    def text(self, file: str) -> str | None:
        """Return a file's text, or None if there is no such file."""
        return self.repository.text(file) if file in self.repository.files else None

    @cached_property
    def services(self) -> set[str]:
        """The names of all services in the Compose files."""
        return {name for project in self.repository.compose for name in project.services}

    @cached_property
    def postfix_main(self) -> Settings | None:
        """config/postfix/main.cf."""
        text = self.text(MAIN)
        return None if text is None else parameters(text, MAIN)

    @cached_property
    def postfix_master(self) -> list[Process]:
        """config/postfix/master.cf."""
        text = self.text(MASTER)
        return [] if text is None else processes(text, MASTER)

    def block(self, file: str) -> Block | None:
        """Return a file with braces as a tree; one that cannot be read is a problem, and None."""
        if file not in self._blocks:
            text = self.text(file)
            self._blocks[file] = None
            if text is not None:
                try:
                    kind = self.kinds.get(file)
                    read = braces.dovecot if kind == "dovecot" else braces.parse
                    self._blocks[file] = (
                        braces.parse(text, file, True) if kind == "nginx" else read(text, file)
                    )
                except Unreadable as error:
                    fix = "close every brace and quote"
                    self.repository.problem("unreadable", error.place, str(error), fix)
        return self._blocks[file]

    def blocks(self, kind: str, folder: str = "config/") -> list[Block]:
        """Return all files of a kind as trees."""
        return [tree for file in self.files(kind, folder) if (tree := self.block(file)) is not None]

    def flat(self, file: str) -> Settings | None:
        """Return a flat file by its kind: words, ini or php."""
        text = self.text(file)
        readers = {"words": words_file, "ini": ini, "php": php, "postfix parameters": parameters}
        return None if text is None else readers[self.kinds[file]](text, file)
