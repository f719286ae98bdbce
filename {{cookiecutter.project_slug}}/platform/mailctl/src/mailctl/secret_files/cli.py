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
        inspection = inspect(context, _folder(context, directory))
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
        bool,
        typer.Option(
            "--finish",
            help="End the older value: of mailserver_api_tokens; on several hosts, once it was deployed.",
        ),
    ] = False,
    local: LocalOption = False,
    repo: RepoOption = None,
    as_json: JsonOption = False,
) -> None:
    """Put a new value in place of a secret, without a stop; the old one ends once the new one has worked."""
    from mailctl.secret_files import sealed
    from mailctl.secret_files.rotate.run import rotate as work

    with command(repo, as_json) as outer:
        context = stack(outer, local)
        result = work(context, name, lambda: _new_value(context, value), finish)
        if result.settled:
            context.out.item("first", result.settled)
        taken = f"; {', '.join(result.readers)} took it up" if result.readers else ""
        context.out.item(name, f"has a new value, which works{taken}")
        if not local and sealed.on(context):
            context.out.item("sealed", sealed.seal_again(context))
        if result.next:
            context.out.item("next", result.next)
        context.finish({"ok": True, **result.as_dict()})


@app.command("seal")
def seal(
    force: Annotated[
        bool, typer.Option("--force", help="Also over what git has and this host has not.")
    ] = False,
    repo: RepoOption = None,
    as_json: JsonOption = False,
) -> None:
    """Encrypt what differs from git into secrets.age/, to the owner's key and this host's."""
    from mailctl.secret_files import sealed

    with command(repo, as_json) as context:
        names = sealed.seal(context, force)
        context.out.item("sealed", ", ".join(names) or "nothing: git has all of it")
        context.out.item("next", f"commit {sealed.FOLDER}/ and push it")
        context.finish({"ok": True, "sealed": names})


@app.command("open")
def open_(
    names: Annotated[list[str] | None, typer.Argument(help="Only these; default: all.")] = None,
    identity: Annotated[
        Path | None,
        typer.Option("--identity", "--key", help="File with the owner's key; default: this host's own."),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Also over what was changed on this host.")] = False,
    repo: RepoOption = None,
    as_json: JsonOption = False,
) -> None:
    """Decrypt what secrets.age/ has and this host has not; a file that was changed here is kept."""
    from mailctl.secret_files import sealed

    with command(repo, as_json) as context:
        done = sealed.open_sealed(context, context.repo / sealed.FOLDER, identity, force, names or ())
        context.out.item("opened", ", ".join(done) or "nothing: this host has all of it")
        context.out.item("next", "make setup, then make deploy")
        context.finish({"ok": True, "opened": done})


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
