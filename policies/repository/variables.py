"""The variables that Compose files read, with the places where they do."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from policies.model import Place
from policies.shared.located import List, Map

if TYPE_CHECKING:
    from policies.shared.repository import Repository

#: A variable in a text of a Compose file; two dollars are one that is meant literally.
VARIABLE = re.compile(r"(?<!\$)(?:\$\$)*\$(?:\{(?P<braced>[A-Za-z_]\w*)|(?P<plain>[A-Za-z_]\w*))")


def _texts(node: Any, place: Place) -> Iterator[tuple[str, Place]]:
    if isinstance(node, Map):
        for key, value in node.items():
            yield from _texts(value, node.places[key])
    elif isinstance(node, List):
        for value, where in zip(node, node.places, strict=True):
            yield from _texts(value, where)
    elif isinstance(node, str):
        yield node, place


def read_by_compose(repository: Repository) -> Iterator[tuple[str, Place]]:
    """Yield name and place of every use of a variable in any file of any Compose project."""
    for file in sorted({file for project in repository.compose for file in project.files}):
        for document in repository.yaml(file):
            for text, place in _texts(document, Place(file)):
                for matched in VARIABLE.finditer(text):
                    yield matched["braced"] or matched["plain"], place
