"""Which files of a repository are Compose files, and which of them are one project together."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from policies.model import Place
from policies.shared import located
from policies.shared.interpolation import Variables, env_file, interpolate
from policies.shared.located import Map
from policies.shared.shape import inside

if TYPE_CHECKING:
    from policies.shared.repository import Repository

YAML = (".yml", ".yaml")
#: The names that Compose takes without being told, the preferred one first, and what it lays over them.
MAIN = ("compose.yaml", "compose.yml", "docker-compose.yaml", "docker-compose.yml")
OVERRIDE = tuple(name.replace(".", ".override.", 1) for name in MAIN)
COMPOSE_NAME = re.compile(r"^(docker-)?compose([.-].*)?\.ya?ml$|\.compose\.ya?ml$", re.IGNORECASE)
JSON_NAME = re.compile(r"^(docker-)?compose([.-].*)?\.json$", re.IGNORECASE)
EXAMPLES = (".env", ".env.example", ".env.sample", ".env.template", "env.example")
#: Where the same words mean something else.
OTHERS = ("policy.yml", ".github/workflows/", ".github/actions/")
#: Files whose text tells how something is started, besides those that may be executed.
STARTERS = re.compile(
    r"(?:^|/)(?:GNU)?[Mm]akefile$|\.(?:sh|bash|mk|service|bat|ps1)$|(?:^|/)[Jj]ustfile$|^\.github/"
)
COMMAND = re.compile(
    r"(?:\b(?:docker|podman)[ -]compose\b|(?P<variable>\$[({]?\w*COMPOSE\w*[)}]?))(?P<rest>[^\n;|&]*)"
)
NAMED = re.compile(r"(?:^|\s)(?:-f|--file)(?:=|\s*)(?P<file>[^\s\"',)]+)")
VARIABLE = re.compile(r"\bCOMPOSE_FILE\s*[:?]?[=:]\s*[\"']?(?P<files>[^\s\"']+)")
SEPARATORS = re.compile(r"[:;,]")
#: What stands in front of a file in a script when it is meant from where the script is.
ROOT = re.compile(r"^(?:\./|\$\{?\w+\}?/|\$\(\w+\)/)+")


def environment(repository: Repository, folder: str, name: str = "") -> dict[str, str]:
    """Return the variables of an env file, or of the one that belongs to a folder's project."""
    known = set(repository.files)
    found: dict[str, str] = {}
    variables = Variables(found)
    for candidate in (name,) if name else EXAMPLES:
        path = inside(folder, candidate)
        if path in known:
            for key, (value, line) in env_file(repository.text(path)).items():
                try:
                    found[key] = interpolate(value, variables)
                except located.Unreadable as error:
                    fix = "write the value itself"
                    repository.problem("unreadable", Place(path, line), str(error), fix)
                    break
            break
    return found


def _is_compose(repository: Repository, file: str) -> bool:
    """Tell by name or content whether a file is a Compose file."""
    name = posixpath.basename(file)
    if file.startswith(OTHERS) or not (name.lower().endswith(YAML) or JSON_NAME.match(name)):
        return False
    if COMPOSE_NAME.match(name):
        return True
    text = repository.text(file)
    if not ("services" in text or "\\" in text):
        return False
    try:
        documents = located.documents(text, file)
    except located.Unreadable:
        return bool(re.search(r"^services\s*:", text, re.MULTILINE))
    return any(isinstance(each, Map) and isinstance(each.get("services"), Map) for each in documents)


def _started(repository: Repository, root: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    """Yield the files that Makefiles, scripts and workflows hand to Compose together.

    A variable in the place of the command stands for the project in the root.
    """
    for file in repository.files:
        if not (
            STARTERS.search(file) or (repository.executable(file) and "compose" in repository.text(file))
        ):
            continue
        text = re.sub(r"[\"'],\s*[\"']", " ", repository.text(file).replace("\\\n", " "))
        for command in COMMAND.finditer(text):
            rest = re.sub(r"[\"',\[\]]", " ", command["rest"])
            files = _all_here(repository, file, [matched["file"] for matched in NAMED.finditer(rest)])
            yield tuple(dict.fromkeys((*root, *files))) if files and command["variable"] else files
        for matched in VARIABLE.finditer(text):
            yield _all_here(repository, file, SEPARATORS.split(matched["files"]))


def _all_here(repository: Repository, script: str, names: list[str]) -> tuple[str, ...]:
    return tuple(path for name in names if (path := _here(repository, script, name)))


def _here(repository: Repository, script: str, name: str) -> str:
    """Return the file of the repository that a script means, or nothing."""
    name = ROOT.sub("", name)
    for folder in ("", posixpath.dirname(script)):
        path = posixpath.normpath(posixpath.join(folder, name))
        if path in repository.files:
            return path
    return ""


def _named(repository: Repository, folder: str) -> tuple[str, ...]:
    """Return the files that the example's COMPOSE_FILE names."""
    values = environment(repository, folder)
    separator = values.get("COMPOSE_PATH_SEPARATOR")
    listed = values.get("COMPOSE_FILE", "")
    found = []
    for part in listed.split(separator) if separator else SEPARATORS.split(listed):
        path = inside(folder, part.strip()) if part.strip() else ""
        if path in repository.files:
            found.append(path)
        elif path:
            what = f"COMPOSE_FILE names {part.strip()}, and there is no such file"
            repository.problem(
                "not-looked-at", Place(posixpath.join(folder, ".env.example")), what, "name one"
            )
    return tuple(found)


def _folders(repository: Repository) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for file in repository.files:
        if _is_compose(repository, file):
            found.setdefault(posixpath.dirname(file), []).append(file)
    # The root comes first: what it includes is no project of its own.
    return dict(sorted(found.items(), key=lambda item: (item[0].count("/") + bool(item[0]), item[0])))


def sets_of_files(repository: Repository) -> list[tuple[str, ...]]:
    """Return the files of every project: what scripts name, a folder's main file alone, and under each other
    file beside it.
    """
    folders = _folders(repository)
    firsts = {folder: _first(repository, folder, files) for folder, files in folders.items()}
    started = [files for files in _started(repository, firsts.get("", ())) if files]
    # What is only ever laid over something else is no project of its own.
    laid_over = {file for files in started for file in files[1:]} - {files[0] for files in started}
    sets: list[tuple[str, ...]] = []
    for folder, files in folders.items():
        first = firsts[folder]
        if first:
            sets.append(first)
        for file in files:
            if file not in first and (first or file not in laid_over):
                sets.append((*first, file))
    judged = {file for files in sets for file in files}
    return list(
        dict.fromkeys([*sets, *(files for files in started if len(files) > 1 or files[0] not in judged)])
    )


def _first(repository: Repository, folder: str, files: list[str]) -> tuple[str, ...]:
    """Return what Compose takes in a folder without being told."""
    beside = {posixpath.basename(file): file for file in files}
    main = next((beside[name] for name in MAIN if name in beside), None)
    overrides = (beside[name] for name in OVERRIDE if name in beside)
    return _named(repository, folder) or ((main, *overrides) if main else ())
