"""Flat files of names and values, and the simple grammars that have nothing else."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from policies.model import Place

#: What MariaDB takes in front of an option, with the value that a bare name then has ("" leaves it alone).
PREFIXES = {"loose-": "", "maximum-": "", "enable-": "1", "disable-": "0"}


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


def words_file(text: str, file: str) -> Settings:
    """Return a file of `Name value` lines, such as clamd.conf or valkey.conf; names in lower case."""
    result = Settings(file)
    for number, line in enumerate(text.splitlines(), 1):
        name, _, value = re.sub(r"\s+", " ", line.strip()).partition(" ")
        if name and not name.startswith("#"):
            result.put(name.lower(), value.strip().strip("\"'"), number)
    return result


def option(text: str) -> tuple[str, str]:
    """Return MariaDB's name (lower case, dashes, no prefix) and value of an option; a bare one has 1."""
    name, sign, value = text.partition("=")
    name, bare = name.strip().lstrip("-").lower().replace("_", "-"), "1"
    while prefix := next((each for each in PREFIXES if name.startswith(each)), ""):
        name, bare = name.removeprefix(prefix), PREFIXES[prefix] or bare
    return name, value.strip().strip("\"'") if sign else bare


def ini(text: str, file: str) -> Settings:
    """Return an ini file without its sections."""
    result = Settings(file)
    for number, line in enumerate(text.splitlines(), 1):
        line = re.split(r"\s[#;]", line, maxsplit=1)[0].strip()
        if line.startswith("!"):
            name, _, value = line.partition(" ")
            result.put(f"{name} {value.strip()}", value.strip(), number)
        elif line and line[0] not in "#;[":
            result.put(*option(line), number)
    return result
