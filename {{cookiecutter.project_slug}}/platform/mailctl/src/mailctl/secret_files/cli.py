"""`mailctl secrets`: the files that containers read. Work is imported when a command runs."""

from pathlib import Path
from typing import Annotated

import typer

from mailctl.core.context import Context, JsonOption, RepoOption, command, group
from mailctl.core.stack import LocalOption, stack

app = group("The secret files that containers read.")

DirOption = Annotated[
    Path | None,
    typer.Option("--dir", help="Folder of the secret files; default: SECRETS_DIR of .env, else secrets."),
]


@app.command()
def init(directory: DirOption = None, repo: RepoOption = None, as_json: JsonOption = False) -> None:
    """Make every secret the stack needs; an existing one is never overwritten."""
    from mailctl.secret_files import show
    from mailctl.secret_files.initialise import initialise

    with command(repo, as_json) as context:
        report = initialise(context, _folder(context, directory))
        show.show(context, report)
        context.finish(show.document(report))


@app.command()
def status(directory: DirOption = None, repo: RepoOption = None, as_json: JsonOption = False) -> None:
    """Show the state of every secret file; exit 1 if one is missing."""
    from mailctl.secret_files.inspect import inspect
    from mailctl.secret_files.overview import show

    with command(repo, as_json) as context:
        inspection = inspect(_folder(context, directory))
        show(context, inspection)
        context.finish(
            {
                "ok": inspection.ok,
                "folder": str(inspection.folder),
                "folder_ok": inspection.folder_ok,
                "secrets": [finding.as_dict() for finding in inspection.findings],
            }
        )


@app.command()
def rotate(
    name: Annotated[str, typer.Argument(help="The file, as `secrets status` lists it.")],
    value: Annotated[
        typer.FileText | None,
        typer.Option(
            "--value", metavar="FILE", help="The provider's new key, for relay_password; - for stdin."
        ),
    ] = None,
    finish: Annotated[
        bool, typer.Option("--finish", help="Of mailserver_api_tokens: end the older of two tokens.")
    ] = False,
    local: LocalOption = False,
    repo: RepoOption = None,
    as_json: JsonOption = False,
) -> None:
    """Put a new value in place of a secret, without a stop; the old one ends once the new one has worked."""
    from mailctl.secret_files.rotate.run import rotate as work

    with command(repo, as_json) as outer:
        context = stack(outer, local)
        result = work(context, name, lambda: _new_value(context, value), finish)
        if result.settled:
            context.out.item("first", result.settled)
        taken = f"; {', '.join(result.readers)} took it up" if result.readers else ""
        context.out.item(name, f"has a new value, which works{taken}")
        if result.next:
            context.out.item("next", result.next)
        context.finish({"ok": True, **result.as_dict()})


def _new_value(context: Context, file: typer.FileText | None) -> str:
    """From the file, or typed without an echo. Raises Misuse where nobody can be asked."""
    import sys

    from mailctl.core.errors import Misuse, Problem

    if file is not None:
        return file.read()
    if context.out.as_json or not sys.stdin.isatty():
        raise Misuse(Problem("--value", "the provider makes this key", "--value FILE, or - for stdin"))
    return str(typer.prompt("The new key", hide_input=True))


def _folder(context: Context, directory: Path | None) -> Path:
    """The folder the user named, counted from where he stands; else the one that compose mounts from."""
    return directory.expanduser().absolute() if directory else context.folder("SECRETS_DIR", "secrets")
