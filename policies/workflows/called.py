"""What a command of a workflow calls in its own repository: targets of a Makefile, scripts, package.json."""

from __future__ import annotations

import json
import posixpath
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from policies.workflows.interpreters import code_run, language
from policies.workflows.makefiles import makefile
from policies.workflows.pipelines import joined, split
from policies.workflows.words import DEEPEST, bare, lifted, plain, program, words

if TYPE_CHECKING:
    from policies.shared.repository import Repository

OTHER_LANGUAGES = re.compile(r"\.(?:py|js|mjs|cjs|ts|rb|pl|php|lua)$")
OTHER_SHEBANG = re.compile(r"^#!.*\b(?:python|node|ruby|perl|php|deno|bun)")
NPM = re.compile(r"^(?:npm|pnpm|yarn|bun)\s+(?:-\S+\s+)*(?:run(?:-script)?\s+)?(?P<name>[\w:.-]+)")
ROOT = re.compile(r"^(?:\$\{?GITHUB_WORKSPACE\}?|\$PWD|\$\(pwd\)|EXPRESSION)/")
#: Options of make with a value of their own.
VALUED = ("-C", "-f", "-o", "-W", "-I", "--directory", "--file", "--makefile")


@dataclass(frozen=True)
class Called:
    """A script that a command runs; `pasted` are variables that make puts into it as text."""

    name: str
    text: str
    shell: bool = True
    pasted: frozenset[str] = frozenset()


def called(command: str, repository: Repository, folder: str = ".") -> Iterator[Called]:
    """Yield what one command, without words in front of it, calls in this repository."""
    parts = words(command)
    if not parts:
        return
    if program(parts[0]) in ("make", "gmake"):
        yield from _targets([bare(each) for each in parts[1:]], repository, folder)
    elif matched := NPM.match(command):
        yield from _packages(matched["name"], repository)
    for file in _files(parts, repository, folder):
        text = repository.text(file)
        yield Called(file, text, not (OTHER_LANGUAGES.search(file) or OTHER_SHEBANG.match(text)))


def everything(script: str, repository: Repository, folder: str = ".") -> Iterator[Called]:
    """Yield a script and, each once, every script that it calls, and those that they call."""
    seen, waiting = set(), [Called("", script)]
    while waiting:
        script_now = waiting.pop(0)
        yield script_now
        for command in commands_of(script_now.text) if script_now.shell else ():
            for each in called(command, repository, folder):
                if each.name not in seen:
                    seen.add(each.name)
                    waiting.append(each)


def commands_of(script: str, depth: int = 0) -> Iterator[str]:
    """Yield each command of a script without what may stand in front of it, those in $(…) as well."""
    outer, inner = lifted(joined(script))
    for pipeline in split(outer, str.strip):
        yield from map(plain, pipeline.stages)
    for text in inner.values() if depth < DEEPEST else ():
        yield from commands_of(text, depth + 1)


def _targets(parts: list[str], repository: Repository, folder: str) -> Iterator[Called]:
    targets, named = [], ""
    while parts:
        option, equals, value = parts.pop(0).partition("=")
        if option in VALUED:
            value = value if equals else (parts.pop(0) if parts else "")
            folder = posixpath.join(folder, value) if option in ("-C", "--directory") else folder
            named = value if option in ("-f", "--file", "--makefile") else named
        elif not equals and not option.startswith("-"):
            targets.append(option)
    made = makefile(repository, folder, named)
    for target in targets or [made.goal()]:
        name = f"make {posixpath.normpath(folder)} {target}"
        yield Called(name, made.script(target), True, frozenset(made.pasted(target)))


def _packages(name: str, repository: Repository) -> Iterator[Called]:
    for file in repository.matching("package.json", "*/package.json"):
        try:
            text = json.loads(repository.text(file)).get("scripts", {}).get(name)
        except (ValueError, AttributeError):
            continue
        if isinstance(text, str):
            yield Called(f"{file} {name}", text)


def _files(parts: list[str], repository: Repository, folder: str) -> Iterator[str]:
    """Yield the files of this repository that a command runs: itself, with source, or by an interpreter."""
    first = bare(parts[0])
    if first in ("source", ".") and len(parts) > 1:
        first = bare(parts[1])
    yield from _found(first, "", repository, folder)
    if name := language(parts[0]):
        for word in map(bare, code_run(name, parts[1:])):
            module = f"/{word.replace('.', '/')}" if re.fullmatch(r"[\w.]+", word) else ""
            yield from _found(word, module, repository, folder)


def _found(word: str, module: str, repository: Repository, folder: str) -> Iterator[str]:
    path = posixpath.normpath(ROOT.sub("", word))
    if not re.fullmatch(r"\.?\w[\w./-]*", path):
        return
    ways = (path, posixpath.normpath(posixpath.join(folder, path)))
    # A `cd` before it may have changed the folder: the end of the path must do.
    ends = (f"/{path}",) if "/" in word or "." in path else ()
    ends += (f"{module}.py", f"{module}/__main__.py") if module else ()
    found = [file for file in repository.files if file in ways or (ends and f"/{file}".endswith(ends))]
    if found:
        yield min(found, key=lambda file: (file not in ways, len(file)))
