"""Every command that mailctl has, by walking the tree that it is built from, and the form of its JSON."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import jsonschema
import typer

import mailctl
from mailctl.cli import build

#: Putting the commands together takes longer than most of them.
TREE = typer.main.get_command(build())


def commands() -> Iterator[tuple[str, ...]]:
    """The words of each command, such as ("secrets", "status")."""
    yield from _below((), TREE)


def _below(words: tuple[str, ...], found: Any) -> Iterator[tuple[str, ...]]:
    inside = getattr(found, "commands", None)  # Typer's groups are none of click's own
    if inside is None:
        yield words
        return
    for name, inner in inside.items():
        yield from _below((*words, name), inner)


COMMANDS = tuple(commands())
SCHEMAS = json.loads(Path(mailctl.__file__).with_name("documents.schema.json").read_text("utf-8"))


def judge(words: Sequence[str], printed: str) -> None:
    """What a command printed is one JSON document of its form, or a refusal. Raises ValidationError."""
    document = json.loads(printed)
    if "problems" in document and not document.get("ok"):
        return jsonschema.validate(document, SCHEMAS["refusal"])
    jsonschema.validate(document, SCHEMAS["result"])
    jsonschema.validate(document, SCHEMAS["commands"][" ".join(words)])
