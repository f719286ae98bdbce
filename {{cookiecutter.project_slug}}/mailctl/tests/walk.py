"""Every command that mailctl has, found by walking the tree that it is built from."""

from collections.abc import Iterator
from typing import Any

import typer

from mailctl.cli import build


def commands() -> Iterator[tuple[str, ...]]:
    """The words of each command, such as ("secrets", "status")."""
    yield from _below((), typer.main.get_command(build()))


def _below(words: tuple[str, ...], found: Any) -> Iterator[tuple[str, ...]]:
    inside = getattr(found, "commands", None)  # Typer's groups are none of click's own
    if inside is None:
        yield words
        return
    for name, inner in inside.items():
        yield from _below((*words, name), inner)


COMMANDS = tuple(commands())
