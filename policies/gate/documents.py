"""Which files each schema is asked about."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

from policies.gate import schemas
from policies.gate.info import OTHERS, Info
from policies.model import Finding, Place
from policies.repository.variables import read_by_compose
from policies.shared.interpolation import env_file
from policies.shared.located import Map, dig, mapping, where
from policies.shared.repository import Repository

#: The second one is the host's own and never in git; its secrets are never shown.
ENVIRONMENTS = (".env.example", ".env")
ANSWERS = ".cruft.json"
EDGE = "edge/edge.yml"
NODES = "nodes.yml"
MEANT = "did you mean "


def _projects(repository: Repository) -> Iterator[tuple[Any, Place]]:
    for project in repository.compose:
        yield project.data, Place(project.files[0])


def _environments(repository: Repository) -> Iterator[tuple[Any, Place]]:
    for file in ENVIRONMENTS:
        if repository.has(file):
            values = Map(Place(file))
            for name, (value, line) in env_file(repository.text(file)).items():
                values.put(name, value, Place(file, line))
            yield values, Place(file)


def _edge(repository: Repository) -> Iterator[tuple[Any, Place]]:
    for document in repository.yaml(EDGE) if repository.has(EDGE) else ():
        yield document, Place(EDGE)


def _nodes(repository: Repository) -> Iterator[tuple[Any, Place]]:
    for document in repository.yaml(NODES) if repository.has(NODES) else ():
        yield document, Place(NODES)


def _answers(repository: Repository) -> Iterator[tuple[Any, Place]]:
    for document in repository.yaml(ANSWERS) if repository.has(ANSWERS) else ():
        answers, path = Map(Place(ANSWERS)), ("context", "cookiecutter")
        for name, value in mapping(dig(document, *path)).items():
            if not str(name).startswith("_"):
                # cookiecutter stores every number as a text.
                number = isinstance(value, str) and value.isdigit()
                answers.put(name, int(value) if number else value, where(document, *path, name))
        yield answers, Place(ANSWERS)


def _own_variable(repository: Repository, wrong: schemas.Wrong) -> bool:
    """Tell whether a variable is unknown to the schema only because the host added it: Compose reads it."""
    return wrong.unknown and any(name == wrong.key for name, _ in read_by_compose(repository))


#: Each schema and its documents.
DOCUMENTS = (
    ("compose", _projects),
    ("environment", _environments),
    ("answers", _answers),
    ("edge", _edge),
    ("nodes", _nodes),
)


def findings(repository: Repository, wanted: Collection[str]) -> Iterator[Finding]:
    """Yield what the schemas with these ids do not allow; the waivers have a reader of their own."""
    for name, documents in DOCUMENTS:
        info = OTHERS[f"SCHEMA_{name.upper()}"]
        if info.id not in wanted:
            continue
        for document, fallback in documents(repository):
            for wrong in schemas.errors(name, document, fallback):
                if not (name == "environment" and _own_variable(repository, wrong)):
                    fix = _how_to_fix(wrong, info)
                    yield Finding(
                        info.id, info.severity, wrong.place, wrong.what, wrong.should, fix, wrong.key
                    )


def _how_to_fix(wrong: schemas.Wrong, info: Info) -> str:
    """Return what to type about one breach of a schema."""
    if wrong.should.startswith(MEANT):
        return f"Write {wrong.should.removeprefix(MEANT).rstrip('?')} instead of {wrong.key}"
    if wrong.unknown:
        return f"Remove {wrong.key}, or correct it. {info.fix}"
    if wrong.what.endswith("is missing"):
        return f"Add {wrong.should}"
    return f"Write {wrong.key} as {wrong.should}" if wrong.key and wrong.should else info.fix
