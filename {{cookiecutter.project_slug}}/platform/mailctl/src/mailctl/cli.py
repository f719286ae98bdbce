"""Puts the commands of the registry together. Command modules import their work lazily: --help stays fast."""

import importlib

import typer

from mailctl import __version__
from mailctl.core.context import group
from mailctl.registry import COMMANDS, GROUPS

EPILOG = "Every command takes --json. Exit code: 0 done, 1 refused or failed, 2 misuse."


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(__version__)
        raise typer.Exit


def _root(
    version: bool = typer.Option(
        False, "--version", callback=_show_version, is_eager=True, help="Print the version."
    ),
) -> None:
    """Operate this mail server."""


def build() -> typer.Typer:
    """The whole CLI."""
    app = group("", name="mailctl", epilog=EPILOG)
    app.callback()(_root)
    groups: dict[str, typer.Typer] = {n: importlib.import_module(place).app for n, place in GROUPS.items()}
    for name, inner in groups.items():
        app.add_typer(inner, name=name)
    for words, place in COMMANDS.items():
        *outer, name = words.split()
        module, _, function = place.partition(":")
        target = groups[outer[0]] if outer else app
        known = {each.name for each in target.registered_commands}
        if name not in known:  # sub-apps outlive one build
            target.command(name)(getattr(importlib.import_module(module), function))
    return app


def main() -> None:
    """Entry point of the `mailctl` executable."""
    build()(prog_name="mailctl")
