"""Which files of a repository are Compose files, and which of them are one project together."""

from __future__ import annotations

import posixpath
import re

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
SEPARATORS = re.compile(r"[:;,]")


def environment(repository: Repository, folder: str, name: str = "") -> dict[str, str]:
    """Return the variables of an env file, or of the one that belongs to a folder's project."""
    found: dict[str, str] = {}
    variables = Variables(found)
    path = next(
        (p for c in ((name,) if name else EXAMPLES) if (p := inside(folder, c)) in repository.files), ""
    )
    for key, (value, _) in env_file(repository.text(path)).items() if path else ():
        found[key] = interpolate(value, variables)
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
    """Return the files of every project: a main file alone, and under each file that may be laid over it."""
    folders: dict[str, list[str]] = {}
    for file in repository.files:
        if _is_compose(repository, file):
            folders.setdefault(posixpath.dirname(file), []).append(file)
    # The root comes first: what it includes is no project of its own.
    ordered = sorted(folders.items(), key=lambda item: (item[0].count("/") + bool(item[0]), item[0]))
    firsts = {folder: _first(repository, folder, files) for folder, files in ordered}
    sets: list[tuple[str, ...]] = []
    for folder, files in ordered:
        # What has no main file beside it is laid over the one in the root.
        first = firsts[folder]
        base = first or firsts.get("", ())
        sets += [first] if first else []
        sets += [(*base, file) for file in files if file not in base]
    return list(dict.fromkeys(sets))


def _first(repository: Repository, folder: str, files: list[str]) -> tuple[str, ...]:
    """Return what Compose takes in a folder without being told."""
    beside = {posixpath.basename(file): file for file in files}
    main = next((beside[name] for name in MAIN if name in beside), None)
    overrides = (beside[name] for name in OVERRIDE if name in beside)
    return _named(repository, folder) or ((main, *overrides) if main else ())
