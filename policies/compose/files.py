"""Which files of a repository are Compose files, and which of them are one project together."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator

from policies.compose.shape import inside
from policies.model import Place
from policies.shared import located
from policies.shared.interpolation import EXAMPLES, Variables, env_file, interpolate
from policies.shared.located import Map, mapping
from policies.shared.repository import Repository

#: The names that Compose takes without being told, the preferred one first, and what it lays over them.
MAIN = ("compose.yaml", "compose.yml", "docker-compose.yaml", "docker-compose.yml")
OVERRIDE = tuple(name.replace(".", ".override.", 1) for name in MAIN)
NAME = re.compile(r"^(docker-)?compose(?:([.-].*)?\.ya?ml|\.json)$|\.compose\.ya?ml$", re.IGNORECASE)
#: Files whose commands tell which files are started together.
STARTERS = ("*akefile", "*.mk", "*.sh", "scripts/*", "*.service", ".github/workflows/*")
NAMED = re.compile(r"(?:^|\s)(?:-f|--file)(?:=|\s*)[\"']?(?P<file>[^\s\"',)]+)")
COMMAND = re.compile(r"(?:\bdocker[ -]compose\b|(?P<variable>\$[({]?\w*COMPOSE\w*[)}]?))(?P<rest>[^\n;|&]*)")
VARIABLE = re.compile(r"\bCOMPOSE_FILE\s*[:?]?[=:]\s*[\"']?(?P<files>[^\s\"']+)")
SEPARATORS = re.compile(r"[:;,]")
#: What stands in front of a file in a script when it is meant from where the script is.
ROOT = re.compile(r"^(?:\./|\$\{?\w+\}?/|\$\(\w+\)/)+")


def environment(repository: Repository, folder: str, name: str = "") -> dict[str, str]:
    """Return the variables of an env file, or of the one that belongs to a folder's project."""
    found: dict[str, str] = {}
    variables = Variables(found)
    path = next(
        (p for c in ((name,) if name else EXAMPLES) if (p := inside(folder, c)) in repository.files), ""
    )
    for key, (value, line) in env_file(repository.text(path)).items() if path else ():
        try:
            found[key] = interpolate(value, variables)
        except located.Unreadable as error:
            repository.problem("unreadable", Place(path, line), str(error), "write the value itself")
            break
    return found


def _is_compose(repository: Repository, file: str) -> bool:
    """Tell by name or content whether a file is a Compose file."""
    if file.startswith((".github/", "policy.yml")) or not file.endswith((".yml", ".yaml", ".json")):
        return False
    if NAME.match(posixpath.basename(file)):
        return True
    if file.endswith(".json") or "services" not in repository.text(file):
        return False
    try:
        documents = located.documents(repository.text(file), file)
    except located.Unreadable:
        return False
    return any(isinstance(mapping(each).get("services"), Map) for each in documents)


def _started(repository: Repository, root: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    """Yield the files that scripts and workflows hand to Compose together; a variable in the place of the
    command stands for the project in the root.
    """
    for file in repository.matching(*STARTERS):
        text = repository.text(file).replace("\\\n", " ")
        for command in COMMAND.finditer(text):
            files = _here(repository, file, [matched["file"] for matched in NAMED.finditer(command["rest"])])
            yield tuple(dict.fromkeys((*root, *files))) if files and command["variable"] else files
        for matched in VARIABLE.finditer(text):
            yield _here(repository, file, SEPARATORS.split(matched["files"]))


def _here(repository: Repository, script: str, names: list[str]) -> tuple[str, ...]:
    """Return the files of the repository that a script means."""
    found = []
    for name in names:
        folders = ("", posixpath.dirname(script))
        paths = [posixpath.normpath(posixpath.join(folder, ROOT.sub("", name))) for folder in folders]
        found += [path for path in dict.fromkeys(paths) if path in repository.files][:1]
    return tuple(found)


def _named(repository: Repository, folder: str) -> tuple[str, ...]:
    """Return the files that the example's COMPOSE_FILE names."""
    values = environment(repository, folder)
    listed = values.get("COMPOSE_FILE", "")
    separator = values.get("COMPOSE_PATH_SEPARATOR")
    found = []
    for part in filter(None, listed.split(separator) if separator else SEPARATORS.split(listed)):
        path = inside(folder, part.strip())
        if path in repository.files:
            found.append(path)
        else:
            place = Place(posixpath.join(folder, ".env.example"))
            what = f"COMPOSE_FILE names {part.strip()}, and there is no such file"
            repository.problem("not-looked-at", place, what, "name one")
    return tuple(found)


def sets_of_files(repository: Repository) -> list[tuple[str, ...]]:
    """Return the files of every project: what scripts name, a folder's main file alone, and under each other
    file beside it.
    """
    folders: dict[str, list[str]] = {}
    for file in repository.files:
        if _is_compose(repository, file):
            folders.setdefault(posixpath.dirname(file), []).append(file)
    # The root comes first: what it includes is no project of its own.
    ordered = sorted(folders.items(), key=lambda item: (item[0].count("/") + bool(item[0]), item[0]))
    firsts = {folder: _first(repository, folder, files) for folder, files in ordered}
    started = [files for files in _started(repository, firsts.get("", ())) if files]
    # What is only ever laid over something else is no project of its own.
    laid_over = {file for files in started for file in files[1:]} - {files[0] for files in started}
    sets: list[tuple[str, ...]] = []
    for folder, files in ordered:
        first = firsts[folder]
        sets += [first] if first else []
        sets += [(*first, file) for file in files if file not in first and (first or file not in laid_over)]
    judged = {file for files in sets for file in files}
    return list(dict.fromkeys([*sets, *(each for each in started if len(each) > 1 or each[0] not in judged)]))


def _first(repository: Repository, folder: str, files: list[str]) -> tuple[str, ...]:
    """Return what Compose takes in a folder without being told."""
    beside = {posixpath.basename(file): file for file in files}
    main = next((beside[name] for name in MAIN if name in beside), None)
    overrides = (beside[name] for name in OVERRIDE if name in beside)
    return _named(repository, folder) or ((main, *overrides) if main else ())
