"""Postfix's main.cf and master.cf, as its processes read them."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass

from policies.config.settings import Settings
from policies.model import Place

PORTS = {"smtp": "25", "submission": "587", "smtps": "465", "submissions": "465"}
WORD = re.compile(r"\{(?:[^{}]|\{[^{}]*\})*\}|\S+")
#: -o and what may stand in front of it in the same word: flags without a value.
OVERRIDE = re.compile(r"^-[DlSuvVz]*o(?P<value>.*)$", re.DOTALL)
NAME = re.compile(r"\w+")


def split(text: str) -> list[str]:
    """Return a list of Postfix: words with commas or spaces between them."""
    return [word for word in re.split(r"[,\s]+", text) if word]


class Parameters(Settings):
    """main.cf, or what one process sees: its own options laid over main.cf."""

    def expanded(self, name: str, default: str = "", depth: int = 10) -> str:
        """Return a value with the $names in it replaced, as Postfix does."""
        if name == "mydomain" and name not in self.values and depth:
            default = self.expanded("myhostname", depth=depth - 1).partition(".")[2]
        return self.expand(self.get(name, default), depth)

    def expand(self, text: str, depth: int = 10) -> str:
        """Return a text with the $names in it replaced."""
        parts, position = [], 0
        while depth and (start := text.find("$", position)) >= 0:
            parts.append(text[position:start])
            inner, position = _reference(text, start + 1)
            parts.append(self._value(inner, depth - 1) if inner else text[start:position])
        return "".join([*parts, text[position:]])

    def _value(self, inner: str, depth: int) -> str:
        if NAME.fullmatch(inner.strip()):
            return self.expanded(inner.strip(), depth=depth)
        # A condition or a comparison stays as it is, and so visible.
        return "${" + inner + "}"

    def words(self, name: str, default: str = "") -> list[str]:
        """Return an expanded value split at commas and spaces."""
        return split(self.expanded(name, default))

    def says(self, name: str, default: str = "") -> str:
        """Return an expanded value in lower case: Postfix does not care for the case of words it knows."""
        return self.expanded(name, default).strip().lower()

    def restrictions(self, name: str, default: str = "", depth: int = 5) -> list[str]:
        """Return a list of restrictions in lower case: classes resolved, those that only warn left out."""
        classes = self.words("smtpd_restriction_classes") if depth else []
        found, warns = [], False
        for word in split(re.sub(r"[{}]", " ", self.expanded(name, default))):
            if warns:
                warns = False
            elif word.lower() == "warn_if_reject":
                warns = True
            elif word in classes and word != name:
                found += self.restrictions(word, depth=depth - 1)
            else:
                found.append(word.lower())
        return found


def _reference(text: str, start: int) -> tuple[str, int]:
    """Return what follows a dollar sign, and where it ends; nothing if it is no reference."""
    closing = {"{": "}", "(": ")"}.get(text[start : start + 1])
    if not closing:
        matched = NAME.match(text, start)
        return (matched.group(), matched.end()) if matched else ("", min(start + 1, len(text)))
    level = 0
    for position in range(start, len(text)):
        level += (text[position] == text[start]) - (text[position] == closing)
        if not level:
            return text[start + 1 : position], position + 1
    return "", len(text)


@dataclass(frozen=True)
class Process:
    """One line of master.cf; `options` are its -o settings with their places, `words` all that follows the
    command.
    """

    name: str
    kind: str
    command: str
    place: Place
    options: dict[str, tuple[str, Place]]
    words: tuple[str, ...] = ()

    @property
    def port(self) -> str:
        """The port it listens on, as a number where the name of it is known."""
        port = self.name.rpartition(":")[2]
        return PORTS.get(port, port)

    def view(self, main: Parameters) -> Parameters:
        """Return main.cf as this process sees it."""
        view = Parameters(main.file, dict(main.values), dict(main.places))
        for name, (value, place) in self.options.items():
            view.values[name], view.places[name] = value, place
        return view


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


def parameters(text: str, file: str) -> Parameters:
    """Return a file like main.cf."""
    result = Parameters(file)
    for line, parts in logical_lines(text):
        name, _, value = line.partition("=")
        result.put(name.strip(), value.strip(), parts[0][1])
    return result


def _overrides(words: list[tuple[str, int]]) -> Iterator[tuple[str, str, int]]:
    """Yield each -o setting of a command's words, with its line."""
    waiting = False
    for word, line in words:
        bare = word[1:-1].strip() if word.startswith("{") else word
        matched = None if waiting else OVERRIDE.match(bare)
        given = bare if waiting else (matched["value"].strip() if matched else "")
        waiting = bool(matched) and not given
        if given:
            name, _, value = (
                given.strip("{} ").partition("=") if given.startswith("{") else given.partition("=")
            )
            yield name.strip(), value.strip(), line


def processes(text: str, file: str) -> list[Process]:
    """Return master.cf."""
    found = []
    for line, parts in logical_lines(text):
        starts, position = [], 0
        for part, _ in parts:
            starts.append(position)
            position += len(part) + 1
        words = [
            (each.group(), parts[bisect_right(starts, each.start()) - 1][1]) for each in WORD.finditer(line)
        ]
        if len(words) < 8:
            continue
        options = {name: (value, Place(file, at)) for name, value, at in _overrides(words[8:])}
        command = words[7][0].rpartition("/")[2]
        following = tuple(word for word, _ in words[8:])
        place = Place(file, parts[0][1])
        found.append(Process(words[0][0], words[1][0], command, place, options, following))
    return found
