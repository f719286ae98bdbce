"""Puts the commands of the registry together. Command modules import their work lazily: --help stays fast."""

import importlib
from collections.abc import Callable

import typer

from mailctl import __version__
from mailctl.registry import APPS, COMMANDS, GROUPS

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
    # Pretty tracebacks would print local variables, and those hold secrets.
    options = {"no_args_is_help": True, "rich_markup_mode": None, "pretty_exceptions_enable": False}
    app = typer.Typer(name="mailctl", epilog=EPILOG, **options)
    app.callback()(_root)
    groups = {name: typer.Typer(help=text, **options) for name, text in GROUPS.items()}
    for words, module in COMMANDS.items():
        *group, name = words.split()
        target = groups[group[0]] if group else app
        target.command(name)(_function(module))
    for name, group in groups.items():
        app.add_typer(group, name=name)
    for name, module in APPS.items():
        app.add_typer(importlib.import_module(module).app, name=name)
    return app


def _function(place: str) -> Callable[..., None]:
    """What a row of COMMANDS names: a module of mailctl/commands, or `module:function` anywhere."""
    module, _, name = place.rpartition(":")
    if not module:
        module, name = f"mailctl.commands.{place}", "run"
    return getattr(importlib.import_module(module), name)


def main() -> None:
    """Entry point of the `mailctl` executable."""
    build()(prog_name="mailctl")
