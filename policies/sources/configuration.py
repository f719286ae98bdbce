"""The services' configuration files, each parsed by its own grammar, with lines kept."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from fnmatch import fnmatch
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import yaml

from policies.model import Place

if TYPE_CHECKING:
    from policies.sources.repository import Repository

KINDS = Path(__file__).parent.parent / "data" / "configuration.yml"


@dataclass
class Settings:
    """A flat file of `name = value`: the last one wins, as the services read it."""

    file: str
    values: dict[str, str] = field(default_factory=dict)
    places: dict[str, Place] = field(default_factory=dict)

    def get(self, name: str, default: str = "") -> str:
        """Return a value as text."""
        return self.values.get(name, default)

    def where(self, name: str) -> Place:
        """Return the place of a setting, or the head of the file if it is not set."""
        return self.places.get(name, Place(self.file))

    def words(self, name: str) -> list[str]:
        """Return a value split at commas and spaces."""
        return [word for word in re.split(r"[,\s]+", self.get(name)) if word]


def assignments(text: str) -> Iterator[tuple[str, str, int]]:
    """Yield name, value and line of Postfix's main.cf: lines that begin with a space continue the one before."""
    name, value, first = "", [], 0
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        if line[0].isspace():
            value.append(line.strip())
            continue
        if name:
            yield name, " ".join(value).strip(), first
        left, _, right = line.partition("=")
        name, value, first = left.strip(), [right.strip()], number
    if name:
        yield name, " ".join(value).strip(), first


class Configuration:
    """All configuration files of one repository; what a repository does not have is None or empty."""

    def __init__(self, repository: Repository) -> None:
        self.repository = repository

    @cached_property
    def kinds(self) -> dict[str, str]:
        """The kind of each file below config/, as policies/data/configuration.yml names it."""
        table = yaml.safe_load(KINDS.read_text(encoding="utf-8"))
        found = {}
        for file in self.repository.matching("config/*"):
            kind = next((kind for pattern, kind in table.items() if fnmatch(file, pattern)), None)
            if kind:
                found[file] = kind
        return found

    @property
    def known(self) -> set[str]:
        """The files below config/ whose kind is known."""
        return set(self.kinds)

    def _has(self, file: str) -> bool:
        if file in self.repository.files:
            self.repository.seen.add(file)
            return True
        return False

    @cached_property
    def postfix_main(self) -> Settings | None:
        """config/postfix/main.cf."""
        file = "config/postfix/main.cf"
        if not self._has(file):
            return None
        result = Settings(file)
        for name, value, line in assignments(self.repository.text(file)):
            result.values[name], result.places[name] = value, Place(file, line)
        return result
