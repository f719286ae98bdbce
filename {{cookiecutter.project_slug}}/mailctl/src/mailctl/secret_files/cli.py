"""`mailctl secrets`: the files that containers read. Work is imported when a command runs."""

from pathlib import Path
from typing import Annotated

import typer

from mailctl.context import Context, JsonOption, RepoOption, command, group

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


def _folder(context: Context, directory: Path | None) -> Path:
    """The folder the user named, counted from where he stands; else the one that compose mounts from."""
    return directory.expanduser().absolute() if directory else context.folder("SECRETS_DIR", "secrets")
