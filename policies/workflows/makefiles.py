"""Makefiles: what a target runs, and which variables of the environment are pasted into it."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from policies.shared.repository import Repository

NAMES = ("GNUmakefile", "makefile", "Makefile")
VARIABLE = re.compile(
    r"^(?:export\s+|override\s+)*(?P<name>[\w.-]+)\s*(?P<how>\?=|::?:?=|\+=|!=|=)\s*(?P<value>.*)$"
)
RULE = re.compile(r"^(?P<targets>[^\s#:=][^#:=]*?)\s*::?(?!=)(?P<needs>[^;#]*)(?:;(?P<first>.*))?")
INCLUDE = re.compile(r"^-?s?include\s+(?P<files>.+)$")
USED = re.compile(r"(?<!\$)\$[({](?P<name>[\w.-]+)[)}]")
#: Variables in variables: no honest file goes deeper.
DEEPEST = 8


@dataclass
class Makefile:
    """One Makefile with what it includes."""

    recipes: dict[str, list[str]] = field(default_factory=dict)
    needs: dict[str, list[str]] = field(default_factory=dict)
    variables: dict[str, str] = field(default_factory=dict)
    #: Variables that the file sets whatever the environment says.
    fixed: set[str] = field(default_factory=set)

    def goal(self) -> str:
        """Return the target that is made when none is named."""
        first = next((each for each in self.recipes if not each.startswith(".")), "")
        return self.variables.get(".DEFAULT_GOAL", first)

    def script(self, target: str) -> str:
        """Return what making a target runs, its variables put in; nothing for an unknown one."""
        lines = [self._written(line) for line in self._raw(target)]
        return "\n".join(lines)

    def pasted(self, target: str) -> set[str]:
        """Return the variables that make puts into what a target runs and the environment may set."""
        seen: set[str] = set()
        waiting = [name for line in self._raw(target) for name in USED.findall(line)]
        while waiting:
            if (name := waiting.pop()) not in seen:
                seen.add(name)
                waiting += USED.findall(self.variables.get(name, ""))
        return seen - self.fixed

    def _known(self, target: str) -> list[str]:
        return [
            each
            for each in self.recipes
            if each == target or ("%" in each and fnmatchcase(target, each.replace("%", "*")))
        ]

    def _raw(self, target: str) -> Iterator[str]:
        """Yield the lines of a target's recipe and of those that it needs, each once."""
        waiting, seen = [target], set()
        while waiting:
            for known in self._known(waiting.pop(0)):
                if known not in seen:
                    seen.add(known)
                    waiting += self.needs[known]
                    yield from self.recipes[known]

    def _written(self, line: str) -> str:
        for _ in range(DEEPEST):
            after = USED.sub(
                lambda each: "make" if each["name"] == "MAKE" else self.variables.get(each["name"], each[0]),
                line,
            )
            if after == line or len(after) > 100_000:
                break
            line = after
        return re.sub(r"^[@+-]+", "", line.strip()).replace("$$", "$")


def makefile(repository: Repository, folder: str = ".", named: str = "") -> Makefile:
    """Return the Makefile that make reads in a folder; without one it has no targets."""
    names = [named] if named else list(NAMES)
    files = [posixpath.normpath(posixpath.join(folder, name)) for name in names]
    found, waiting = Makefile(), [file for file in files if file in repository.files][:1]
    seen: set[str] = set()
    while waiting:
        file = waiting.pop(0)
        if file in repository.files and file not in seen:
            seen.add(file)
            waiting += [
                posixpath.normpath(posixpath.join(folder, each))
                for each in _read(repository.text(file), found)
            ]
    return found


def _read(text: str, into: Makefile) -> Iterator[str]:
    """Read one file into a Makefile; yield the files that it includes."""
    current: list[str] = []
    for line in text.replace("\\\n", " ").splitlines():
        if line.startswith("\t"):
            for target in current:
                into.recipes[target].append(line.strip())
        elif matched := VARIABLE.match(line):
            _set(into, matched)
        elif matched := INCLUDE.match(line):
            yield from matched["files"].split()
        elif matched := RULE.match(line):
            current = matched["targets"].split()
            for target in current:
                into.recipes.setdefault(target, []).extend(
                    [matched["first"].strip()] if matched["first"] else []
                )
                into.needs.setdefault(target, []).extend(matched["needs"].replace("|", " ").split())


def _set(into: Makefile, matched: re.Match[str]) -> None:
    name, how = matched["name"], matched["how"]
    value = re.sub(r"\s+#.*$", "", matched["value"])
    if how == "+=":
        value = f"{into.variables.get(name, '')} {value}".strip()
    elif how != "?=":
        into.fixed.add(name)
    into.variables[name] = value
